"""Reads the operator's persona file (TOML). A broken file stops the start, not a request.

```toml
[[persona]]
name = "tutor"
title = "Language tutor"
system_prompt = "You teach Korean to beginners."
model = "tutor-adapter"
temperature = 0.3
```
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tandem_chat.domain.persona import DEFAULT_PERSONA, Persona, Personas, Sampling

_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class PersonaFileError(ValueError):
    """The file cannot be used; the text names the file and the field."""


class _Persona(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title: _Line
    system_prompt: Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000)] = ""
    model: _Line | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: list[_Line] = Field(default_factory=list, max_length=4)

    def persona(self) -> Persona:
        sampling = Sampling(self.temperature, self.top_p, self.seed, tuple(self.stop))
        return Persona(self.name, self.title, self.system_prompt, self.model, self.max_tokens, sampling)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    persona: list[_Persona] = Field(min_length=1)


def load_personas(path: Path | None, *, default: Sampling) -> Personas:
    """Return the personas of `path`, and one called `default` with `default`'s sampling unless the file has its own.

    Raises:
        PersonaFileError: the file is missing, is no TOML, or says something that cannot be; a line per mistake.
    """
    plain = Persona(DEFAULT_PERSONA, "Assistant", sampling=default)
    found = [] if path is None else _read(path)
    names = [persona.name for persona in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PersonaFileError(
            f"{path}: {', '.join(twice)} stands there twice; give each persona its own name"
        )
    return Personas({plain.name: plain} | {persona.name: persona for persona in found})


def _read(path: Path) -> list[Persona]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PersonaFileError(f"{path}: expected a readable TOML file in UTF-8: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise PersonaFileError(f"{path}: expected TOML: {error}") from None
    try:
        return [one.persona() for one in _File.model_validate(content).persona]
    except ValidationError as error:
        raise PersonaFileError(
            "\n".join(f"{path}: {_place(found['loc'])}: {found['msg']}" for found in error.errors())
        ) from None


def _place(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
