"""Reads `engines.yaml`: the file and its YAML. What it may say is `declaration`'s matter, mistakes are told by `file_mistakes`."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tandem_inference.engines.declaration import DeclaredEngines
from tandem_inference.engines.file_mistakes import in_words
from tandem_inference.errors import StartError


def read_engines(path: Path) -> DeclaredEngines:
    """Return what `path` declares. Models, adapters and templates given as paths become absolute ones.

    Raises:
        StartError: the file is missing, is no YAML or says something that cannot be; one line of text per mistake.
    """
    tree, content = _parse(path)
    try:
        return DeclaredEngines.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        raise StartError("\n".join(in_words(path, tree, error.errors()))) from None


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
