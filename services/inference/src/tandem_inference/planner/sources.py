"""Finds a model's shape by what a person types: a catalogue name, a path to a config.json, or a hub id if allowed."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tandem_inference.planner.catalogue import is_closed, shape_of
from tandem_inference.planner.errors import UnknownModelError
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.shape.reading import LARGEST_CONFIG_BYTES, read_config_file, shape_from_config

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
HUB_TIMEOUT_SECONDS = 5.0


def looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.endswith(".json")


def load_shape(
    name: str, *, folder: Path | None = None, files: bool = True, hub: bool = False, revision: str = "main"
) -> ModelShape:
    """The shape behind `name`. Blocks for up to 5 s when the hub is asked.

    `files` allows paths, relative to `folder`; it must be off for names that come over the network.

    Raises:
        UnknownModelError: not in the catalogue, no such file, and not on the hub (or the hub not allowed).
        ClosedModelError: the model's weights are not published.
        UnreadableConfigError: the config.json cannot be understood.
    """
    if files and looks_like_path(name):
        path = Path(name).expanduser()
        path = path if path.is_absolute() else (folder or Path()) / path
        return shape_from_config(path.name or name, read_config_file(path), source=str(path))
    try:
        return shape_of(name)
    except UnknownModelError:
        if (
            not hub
            or is_closed(name)
            or not HUB_ID.fullmatch(name)
            or os.environ.get("HF_HUB_OFFLINE") == "1"
        ):
            raise
    config = fetch_config(name, revision=revision)
    return shape_from_config(name, config, source=f"{name} at {revision} on the hub")


def fetch_config(name: str, *, revision: str = "main") -> Mapping[str, Any]:
    """The config.json of a hub repository (`HF_ENDPOINT` names another hub).

    Raises:
        UnknownModelError: the hub cannot be reached or has no such file.
    """
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    if not base.startswith(("https://", "http://")):
        raise UnknownModelError(f"HF_ENDPOINT must be an http(s) address; got {base!r:.80}", field="model")
    request = urllib.request.Request(f"{base}/{name}/resolve/{revision}/config.json")  # noqa: S310 - scheme checked above
    if token := os.environ.get("HF_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT_SECONDS) as answer:  # noqa: S310 - scheme checked above
            parsed = json.loads(answer.read(LARGEST_CONFIG_BYTES))
    except (OSError, ValueError) as error:
        raise UnknownModelError(
            f"{name} is not in the catalogue and its config.json could not be read from the hub: {error}",
            field="model",
        ) from error
    if not isinstance(parsed, Mapping):
        raise UnknownModelError(f"the hub's config.json of {name} is not an object", field="model")
    return parsed
