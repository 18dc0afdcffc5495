"""Builds the smallest value that satisfies a JSON Schema: what the stub engine answers to guided decoding.

Covers what pydantic generates (references, unions, bounds, enumerations); string patterns are left out.
"""

from typing import Any

Schema = dict[str, Any]


def smallest_instance(schema: Schema, root: Schema | None = None) -> Any:
    """Return a value valid for `schema`; `root` holds the `$defs` that it refers to."""
    root = root if root is not None else schema
    if reference := schema.get("$ref"):
        return smallest_instance(_resolve(reference, root), root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return smallest_instance(schema[union][0], root)
    if "allOf" in schema:
        return smallest_instance(
            {key: value for part in schema["allOf"] for key, value in part.items()}, root
        )
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_kind(kind[0] if isinstance(kind, list) else kind, schema, root)


def _of_kind(kind: str, schema: Schema, root: Schema) -> Any:
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            name: smallest_instance(properties.get(name, {}), root) for name in schema.get("required", ())
        }
    if kind == "array":
        return [smallest_instance(schema.get("items", {}), root)] * schema.get("minItems", 0)
    if kind in {"integer", "number"}:
        smallest = _smallest_number(schema, step=1 if kind == "integer" else 0.5)
        return int(smallest) if kind == "integer" else smallest
    return {"string": "x" * max(schema.get("minLength", 0), 1), "boolean": False}.get(kind)


def _smallest_number(schema: Schema, step: float) -> float:
    if "minimum" in schema:
        return float(schema["minimum"])
    if "exclusiveMinimum" in schema:
        return float(schema["exclusiveMinimum"]) + step
    return min(0.0, float(schema.get("maximum", schema.get("exclusiveMaximum", step) - step)))


def _resolve(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)
