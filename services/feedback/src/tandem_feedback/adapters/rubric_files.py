"""Reads rubric files: those that ship with the service and an operator's own. A broken one stops the start, not a request."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.domain.rubric import LongTranscripts, Rubric, RubricFileError, Rubrics, ScoredCriterion

RUBRIC_FILES = Path(__file__).parents[1] / "rubrics"

# Longer texts leave no room for the conversation in a small model's window.
_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
_SHOWN_CHARACTERS = 60
_Score = Annotated[int, Field(ge=0, le=100)]


class _Criterion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    title: _Line
    description: _Line
    scale: dict[_Score, _Line] = Field(min_length=2, max_length=11)
    weight: float = Field(default=1.0, gt=0, le=100)


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Identifier
    version: int = Field(ge=1, lt=2**31)
    title: _Line
    instructions: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    language: Literal["en", "ko"] | None = None
    long_transcripts: LongTranscripts = LongTranscripts.TRIM


class _Plain(_Head):
    criteria: list[_Line] = Field(min_length=1, max_length=12)


class _Scored(_Head):
    criteria: list[_Criterion] = Field(min_length=1, max_length=12)

    @model_validator(mode="after")
    def _ids_are_distinct(self) -> "_Scored":
        ids = [criterion.id for criterion in self.criteria]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"criteria: {', '.join(twice)} stands there twice; give each its own id")
        return self


def load_rubrics(own: Path | None = None, *, shipped: Path = RUBRIC_FILES) -> Rubrics:
    """Load every `*.toml` of the shipped folder and of `own`, an operator's.

    Raises:
        RubricFileError: a folder or file cannot be used; the text names the file and the field.
    """
    paths = _files(shipped) + (_files(own) if own else [])
    found: dict[tuple[str, int], Path] = {}
    rubrics = []
    for path in paths:
        rubric = _load(path)
        first = found.setdefault((rubric.id, rubric.version), path)
        if first != path:
            raise RubricFileError(
                f"{path}: {rubric.id} version {rubric.version} is there already, in {first}; "
                "a new wording is a new version: raise version, and the file's name with it"
            )
        rubrics.append(rubric)
    return Rubrics(rubrics)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise RubricFileError(f"{folder}: expected a folder with rubric files; make it or name another")
    return sorted(folder.glob("*.toml"))


def _load(path: Path) -> Rubric:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        file = _kind(content).model_validate(content)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RubricFileError(f"{path.name}: expected a readable TOML file in UTF-8 ({error})") from error
    except ValidationError as error:
        raise RubricFileError(f"{path.name}: {_explained(error)}") from error
    expected = f"{file.id}.v{file.version}.toml"
    if path.name != expected:
        raise RubricFileError(
            f"{path.name}: id and version say {expected}; rename the file or mend the fields"
        )
    return _rubric(file)


def _kind(content: dict[str, Any]) -> type[_Plain | _Scored]:
    """Tell by the first criterion which kind of file it is meant to be."""
    criteria = content.get("criteria")
    return _Scored if isinstance(criteria, list) and criteria and isinstance(criteria[0], dict) else _Plain


def _rubric(file: _Plain | _Scored) -> Rubric:
    plain = tuple(file.criteria) if isinstance(file, _Plain) else ()
    scored = [] if isinstance(file, _Plain) else file.criteria
    return Rubric(
        id=file.id,
        version=file.version,
        title=file.title,
        instructions=file.instructions,
        criteria=plain,
        scored_criteria=tuple(ScoredCriterion(**criterion.model_dump()) for criterion in scored),
        language=file.language,
        long_transcripts=file.long_transcripts,
    )


def _explained(error: ValidationError) -> str:
    """Name the first field at fault, what it should be, what came, and how many more there are."""
    first, *others = error.errors(include_url=False)
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "missing":
            what = "this field is missing; add it"
        case "extra_forbidden":
            what = "this field is not known here; remove it or mend its name"
        case _ if where:
            what = f"{what}, got {str(first['input'])[:_SHOWN_CHARACTERS]!r}; mend it in the file"
    more = f" ({len(others)} more after this one)" if others else ""
    return f"{where}: {what}{more}" if where else f"{what}{more}"
