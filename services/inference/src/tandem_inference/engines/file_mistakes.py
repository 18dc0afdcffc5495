"""Puts what pydantic found wrong with the engines' file into words: line, field, what was expected, what came, what to do."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tandem_inference.engines.declaration import DeclaredEngines
from tandem_inference.engines.mistake import MistakeError
from tandem_inference.engines.refused_flags import gone_flag

Location = Sequence[str | int]


def in_words(path: Path, tree: yaml.Node | None, errors: Sequence[ErrorDetails]) -> list[str]:
    """One sentence per mistake in `path`, whose nodes are `tree`."""
    return [_sentence(path, tree, found) for found in _causes(errors)]


def _causes(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what only follows from a mistake further inside, such as a list that lacks its wrong items."""
    places = [error["loc"] for error in errors]
    return [e for e in errors if not any(place[: len(e["loc"])] == e["loc"] != place for place in places)]


def _sentence(path: Path, tree: yaml.Node | None, found: ErrorDetails) -> str:
    cause = found.get("ctx", {}).get("error")
    location = (*found["loc"], *(cause.at if isinstance(cause, MistakeError) else ()))
    where = f"{path}, line {line_of(tree, location)}"
    field = _field_name(location)
    message = found["msg"].removeprefix("Value error, ")
    match found["type"]:
        case "missing":
            return f"{where}: {field} is missing; add it: {_description(found['loc'])}"
        case "extra_forbidden":
            return f"{where}: {field} is not a field that exists; {_instead(found)}"
        case "value_error":
            return f"{where}: {field}{': ' if field else ''}{message}"
        case _:
            return f"{where}: {field or 'the file'}: {message}; got {_shown(found['input'])}. {_description(found['loc'])}"


def line_of(node: yaml.Node | None, location: Location) -> int:
    """The line of the deepest part of `location` that the file has."""
    line = node.start_mark.line if node is not None else 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
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
    if len(location) < 2:
        return "Expected `engines:` with a list of engines under it."
    field = _model_at(location[:-1]).model_fields.get(str(location[-1]))
    return (field.description or "") if field is not None else ""


def _instead(found: ErrorDetails) -> str:
    name = str(found["loc"][-1])
    flag = f"--{name.lstrip('-').replace('_', '-')}"
    if len(found["loc"]) > 1 and (gone := gone_flag(flag, found["input"])):
        return gone
    known = list(_model_at(found["loc"][:-1]).model_fields)
    if near := get_close_matches(name, known, n=1):
        return f"did you mean {near[0]}?"
    more = "; other flags of vLLM go into extra_args" if len(found["loc"]) == 3 else ""
    return f"expected one of {', '.join(known)}{more}"


def _model_at(location: Location) -> type[BaseModel]:
    """The model whose fields stand at `location`, found by following the fields' types."""
    model: type[BaseModel] = DeclaredEngines
    for part in location:
        field = model.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field is not None else None
        model = inner or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
