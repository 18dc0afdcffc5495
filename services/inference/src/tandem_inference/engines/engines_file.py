"""Reads `engines.yaml` and tells every mistake by line, field, what was expected, what came and what to do."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tandem_inference.engines.declaration import DeclaredEngines, Engine
from tandem_inference.errors import StartError

Location = Sequence[str | int]


def read_engines(path: Path) -> tuple[Engine, ...]:
    """Return the engines declared in `path`, in file order. Models given as folders become absolute paths.

    Raises:
        StartError: the file is missing, is no YAML or says something that cannot be; one line of text per mistake.
    """
    tree, content = _parse(path)
    try:
        declared = DeclaredEngines.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        mistakes = [_in_words(path, tree, found) for found in _causes(error.errors())]
        raise StartError("\n".join(mistakes)) from None
    return declared.engines


def _parse(path: Path) -> tuple[yaml.Node | None, Any]:
    """Return the file as nodes, which know their lines, and as plain values."""
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        tree = loader.get_single_node()
        _refuse_repeated_fields(path, tree)
        return tree, loader.construct_document(tree) if tree is not None else None
    except FileNotFoundError:
        raise StartError(
            f"{path}: there is no such file. It declares the engines to run; set TANDEM_INFERENCE_ENGINES_FILE to its path."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: expected a readable text file in UTF-8: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise StartError(
            f"{path}, line {line}: expected YAML, but {error.problem or error.context}"
        ) from None
    except yaml.YAMLError as error:
        raise StartError(f"{path}: expected YAML, but {error}") from None


def _refuse_repeated_fields(path: Path, node: yaml.Node | None) -> None:
    """YAML would keep the last of two equal fields and say nothing."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_fields(path, item)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                line = key.start_mark.line + 1
                raise StartError(f"{path}, line {line}: {name} is given twice; keep one of them")
            seen.add(name)
            _refuse_repeated_fields(path, value)


def _causes(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what only follows from a mistake further inside, such as a list that lacks its wrong items."""
    places = [error["loc"] for error in errors]
    return [e for e in errors if not any(place[: len(e["loc"])] == e["loc"] != place for place in places)]


def _in_words(path: Path, tree: yaml.Node | None, found: ErrorDetails) -> str:
    where = f"{path}, line {_line_of(tree, found['loc'])}"
    field = _field_name(found["loc"])
    message = found["msg"].removeprefix("Value error, ")
    match found["type"]:
        case "missing":
            return f"{where}: {field} is missing; add it: {_description(found['loc'])}"
        case "extra_forbidden":
            return f"{where}: {field} is not a field that exists; {_nearest(found['loc'])}"
        case "value_error":
            return f"{where}: {field}{': ' if field else ''}{message}"
        case _:
            return f"{where}: {field or 'the file'}: {message}; got {_shown(found['input'])}. {_description(found['loc'])}"


def _line_of(node: yaml.Node | None, location: Location) -> int:
    """The line of the deepest part of `location` that the file has."""
    line = node.start_mark.line if node is not None else 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == part]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1


def _field_name(location: Location) -> str:
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name


def _description(location: Location) -> str:
    field = Engine.model_fields.get(str(location[2])) if len(location) > 2 else None  # engines, index, field
    if field is not None and field.description:
        return field.description
    return "Expected `engines:` with a list of engines under it." if len(location) < 2 else ""


def _nearest(location: Location) -> str:
    known: list[str] = list(Engine.model_fields) if len(location) > 1 else list(DeclaredEngines.model_fields)
    if near := get_close_matches(str(location[-1]), known, n=1):
        return f"did you mean {near[0]}?"
    return f"expected one of {', '.join(known)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
