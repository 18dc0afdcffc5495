"""Builds a trimmed schema of the google provider from the PyPI package `cdktn-provider-google`, which is generated from it.

Needed only when the provider's version is raised: `python -m infra.check schema WHEEL`. What the package does not say
(defaults, validators, most limits on numbers of blocks) the schema does not have.
"""

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.check.schema.generated_classes import RESOURCE_TYPE, Field, GeneratedModule, read_module

Json = dict[str, Any]

_SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_GETTER_TYPES: dict[str, Any] = {"String": "string", "Number": "number", "Boolean": "bool"}
_CONTAINER = re.compile(r"^(string|number|boolean|any)(List|Map)$", re.IGNORECASE)
_SECTIONS = {
    "TerraformResource": "resources",
    "TerraformDataSource": "data_sources",
    "TerraformProvider": "provider",
}
_PROVIDER = "google"
# One resource contains itself; nothing that is used here nests deeper.
_DEEPEST = 12


def extract(wheel: Path, wanted: set[str]) -> Json:
    """Return the provider's version, its own configuration and the wanted resources."""
    package = zipfile.ZipFile(wheel)
    metadata = _text(package, "METADATA")
    version = re.search(r"provider version ([\d.]+)", metadata)
    schema: Json = {"version": version[1] if version else None, "provider": {}, "resources": {}}
    for code, declarations in _modules(package):
        if _resource_type(code) not in {*wanted, _PROVIDER}:
            continue
        module = read_module(code, declarations)
        section = _SECTIONS.get(module.kind)
        if section == "provider":
            schema["provider"] = _Builder(module).block(module.main, module.main)
        elif section == "resources" and module.resource_type in wanted:
            schema["resources"][module.resource_type] = _Builder(module).block(module.main, module.main)
    if missing := wanted - set(schema["resources"]):
        raise LookupError(f"{wheel.name} does not have {', '.join(sorted(missing))}: check their spelling.")
    return schema


def dump(schema: Json) -> str:
    """Return the schema as JSON with a line per resource, so that a change of provider reads as a change of lines."""
    resources = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(block, separators=(',', ':'), sort_keys=True)}"
        for name, block in sorted(schema["resources"].items())
    )
    provider = json.dumps(schema["provider"], separators=(",", ":"), sort_keys=True)
    return f'{{"version": {json.dumps(schema["version"])},\n"provider": {provider},\n"resources": {{\n{resources}\n}}}}\n'


def _resource_type(code: str) -> str | None:
    named = RESOURCE_TYPE.search(code)
    return named[1] if named else None


def _text(package: zipfile.ZipFile, ending: str) -> str:
    return package.read(next(name for name in package.namelist() if name.endswith(ending))).decode()


def _modules(package: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    archive = package.read(next(name for name in package.namelist() if name.endswith(".jsii.tgz")))
    texts: dict[str, dict[str, str]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            # The structures of a large resource lie in files beside its index.
            found = re.fullmatch(r"package/lib/([\w-]+)/(?:[\w-]+/)?\w+\.(js|d\.ts)", member.name)
            content = files.extractfile(member) if found else None
            if found and content:
                pair = texts.setdefault(found[1], {"js": "", "d.ts": ""})
                pair[found[2]] += content.read().decode()
    yield from ((pair["js"], pair["d.ts"]) for _, pair in sorted(texts.items()))


class _Builder:
    def __init__(self, module: GeneratedModule) -> None:
        self._module = module

    def block(self, cls: str, structure: str, depth: int = 0) -> Json:
        attributes: Json = {}
        blocks: Json = {}
        if depth <= _DEEPEST:
            for name, field in self._module.fields.get(cls, {}).items():
                if self._is_block(field, structure):
                    blocks[name] = self._nested_block(field, depth)
                else:
                    attributes[name] = self._attribute(field, structure, depth)
        return {key: value for key, value in (("attributes", attributes), ("blocks", blocks)) if value}

    def _is_block(self, field: Field, structure: str) -> bool:
        if field.cls is None or self._item_class(field.cls) is None:
            return False
        if field.name == "timeouts":
            return True
        settable = field.optional or field.required
        return settable and field.name in self._module.blocks.get(structure, set())

    def _nested_block(self, field: Field, depth: int) -> Json:
        cls = self._item_class(field.cls or "")
        single = (field.cls or "").endswith("OutputReference")
        nested: Json = {"block": self.block(cls or "", _structure(cls or ""), depth + 1)}
        nested["nesting"] = "single" if field.name == "timeouts" else "set" if field.is_set else "list"
        if field.required:
            nested["min"] = 1
        if single and field.name != "timeouts":
            nested["max"] = 1
        return nested

    def _attribute(self, field: Field, structure: str, depth: int) -> Json:
        attribute: Json = {"type": self._type(field, structure, depth)}
        attribute |= {key: True for key in ("computed", "optional", "required") if getattr(field, key)}
        if allowed := self._module.allowed.get(structure, {}).get(field.name):
            attribute["allowed"] = allowed
        return attribute

    def _type(self, field: Field, structure: str, depth: int) -> Any:
        if field.cls is not None:
            return self._class_type(field, depth)
        kind, storage = self._module.hcl_types.get(structure, {}).get(field.name, ("", ""))
        return _stored_type(kind, storage) or _getter_type(field) or "string"

    def _class_type(self, field: Field, depth: int) -> Any:
        cls = field.cls or ""
        if simple := _CONTAINER.match(cls):
            return _container(simple, is_set=field.is_set)
        item = self._item_class(cls)
        if item is None:
            return "dynamic"
        outer = "map" if cls.endswith("Map") else "set" if field.is_set else "list"
        return [outer, ["object", _object(self.block(item, _structure(item), depth + 1))]]

    def _item_class(self, cls: str) -> str | None:
        if cls.endswith("OutputReference"):
            return cls if cls in self._module.fields else None
        item = re.sub(r"(List|Map)$", "OutputReference", cls)
        return item if item in self._module.fields and item != cls else None


def _structure(cls: str) -> str:
    return cls.removesuffix("OutputReference")


def _stored_type(kind: str, storage: str) -> Any:
    if storage in _SIMPLE:
        return _SIMPLE[storage]
    container = _CONTAINER.match(storage)
    return _container(container, is_set=kind == "set") if container else None


def _container(match: re.Match[str], *, is_set: bool) -> list[Any]:
    element = _SIMPLE[match[1].lower()]
    return ["map", element] if match[2] == "Map" else ["set" if is_set else "list", element]


def _getter_type(field: Field) -> Any:
    getter = field.getter or ""
    if getter in _GETTER_TYPES:
        return _GETTER_TYPES[getter]
    if getter == "List":
        return ["set" if field.is_set else "list", "string"]
    container = _CONTAINER.match(getter)
    return _container(container, is_set=field.is_set) if container else None


def _object(block: Json) -> Json:
    types = {name: attribute["type"] for name, attribute in block.get("attributes", {}).items()}
    for name, nested in block.get("blocks", {}).items():
        types[name] = [nested["nesting"], ["object", _object(nested["block"])]]
    return types
