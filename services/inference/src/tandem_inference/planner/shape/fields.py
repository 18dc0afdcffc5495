"""Typed reading of a config.json: every field is checked before use, and a wrong one is named."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from tandem_inference.planner.errors import UnreadableConfigError

LARGEST = 10**9
"""No dimension of a transformer comes near this; larger numbers are mistakes, not models."""


class Fields:
    """A view of one JSON object whose getters accept several names for a field, the first present wins."""

    def __init__(self, values: Mapping[str, Any], *, where: str = "config.json") -> None:
        if not isinstance(values, Mapping):
            raise UnreadableConfigError(f"{where} must be a JSON object; got {type(values).__name__}")
        self._values = values
        self.where = where

    def over(self, defaults: Mapping[str, Any]) -> Fields:
        """The same object with `defaults` for fields it does not have at all; a null field stays null."""
        return Fields({**defaults, **self._values}, where=self.where)

    def raw(self, *names: str) -> Any:
        """The first value present and not null, else None; unchecked."""
        for name in names:
            value = self._values.get(name)
            if value is not None:
                return value
        return None

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def set_fields_like(self, pattern: re.Pattern[str]) -> tuple[str, ...]:
        """Fields whose name contains the pattern and whose value says there is something: not null, 0, false or empty."""
        return tuple(
            name for name, value in self._values.items() if value and pattern.search(str(name).lower())
        )

    def count(self, *names: str, default: int | None = None, least: int = 1) -> int:
        """A whole number from `least` on; required unless a default is given."""
        value = self.raw(*names)
        if value is None:
            if default is None:
                raise UnreadableConfigError(
                    f"{self.where} lacks {' / '.join(names)}, without which the memory cannot be computed",
                    field=names[0],
                )
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise UnreadableConfigError(
                f"{self.where}: {names[0]} must be a whole number; got {value!r:.60}", field=names[0]
            )
        if not least <= value <= LARGEST:
            raise UnreadableConfigError(
                f"{self.where}: {names[0]} must be between {least} and {LARGEST}; got {value!r:.60}",
                field=names[0],
            )
        return value

    def optional_count(self, *names: str, least: int = 0) -> int | None:
        return self.count(*names, least=least) if self.raw(*names) is not None else None

    def number(self, *names: str, default: float) -> float:
        value = self.raw(*names)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UnreadableConfigError(
                f"{self.where}: {names[0]} must be a finite number; got {value!r:.60}", field=names[0]
            )
        if not 0 <= value <= LARGEST:
            raise UnreadableConfigError(
                f"{self.where}: {names[0]} must be between 0 and {LARGEST}; got {value!r:.60}", field=names[0]
            )
        return float(value)

    def flag(self, *names: str, default: bool) -> bool:
        value = self.raw(*names)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise UnreadableConfigError(
                f"{self.where}: {names[0]} must be true or false; got {value!r:.60}", field=names[0]
            )
        return value

    def text(self, *names: str, default: str | None = None) -> str:
        value = self.raw(*names)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value:
            raise UnreadableConfigError(
                f"{self.where}: {' / '.join(names)} must be a word; got {value!r:.60}", field=names[0]
            )
        return value

    def words(self, name: str) -> tuple[str, ...] | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UnreadableConfigError(f"{self.where}: {name} must be a list of words", field=name)
        return tuple(value)

    def section(self, *names: str) -> Fields | None:
        """A nested object, or None when absent."""
        for name in names:
            value = self._values.get(name)
            if value is None:
                continue
            if not isinstance(value, Mapping):
                raise UnreadableConfigError(f"{self.where}: {name} must be an object", field=name)
            return Fields(value, where=f"{self.where} {name}")
        return None
