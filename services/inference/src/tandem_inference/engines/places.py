"""Tells folders and files from hub ids in the engines' file, and finds the former from the file's own place."""

import re
from pathlib import Path
from typing import Any, Final

_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PATH_STARTS: Final = ("./", "../", "/", "~")

Context = dict[str, Any] | None
"""What a validation is told: `folder`, the one that the engines' file lies in."""


def folder_or_hub_id(value: str, context: Context, *, holding: str) -> str:
    """Return a folder as an absolute path, or a hub id as it is.

    Raises:
        ValueError: it is neither, or the folder has no file called `holding`.
    """
    if not value.startswith(_PATH_STARTS):
        if _HUB_ID.fullmatch(value):
            return value
        raise ValueError(
            "expected a folder starting with ./ ../ / or ~, or a hub id such as organisation/name"
        )
    folder = relative_to_file(value, context)
    if not (folder / holding).is_file():
        raise ValueError(f"expected a folder with {holding} in it, and there is no {holding} in {folder}")
    return str(folder)


def relative_to_file(value: str, context: Context) -> Path:
    """Return `value` as an absolute path; relative ones start where the engines' file lies."""
    start: Path = (context or {}).get("folder", Path.cwd())
    return (start / Path(value).expanduser()).resolve()


def is_folder(place: str) -> bool:
    """Whether a validated place is a folder, so that the hub need not be reached."""
    return Path(place).is_absolute()
