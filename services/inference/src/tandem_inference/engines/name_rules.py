"""Checks that every name that callers may use means one thing: which engines may share a name, and which may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tandem_inference.engines.mistake import MistakeError

if TYPE_CHECKING:
    from tandem_inference.engines.declaration import Engine

_COPIES = ("model", "revision", "max_model_len")


def check(engines: Sequence[Engine]) -> None:
    """Raise MistakeError telling the first name that is given twice and may not be."""
    names: set[str] = set()
    served: dict[str, Engine] = {}
    for position, engine in enumerate(engines):
        if engine.name in names:
            raise MistakeError(
                f"{engine.name!r} is given to two engines; each needs its own", "engines", position, "name"
            )
        names.add(engine.name)
        _check_copies(served.setdefault(engine.served_model_name, engine), engine, position)
    owners: dict[str, Engine] = {}
    for position, engine in enumerate(engines):
        for place in range(len(engine.adapters)):
            _check_adapter(engine, position, place, served, owners)


def _check_copies(first: Engine, engine: Engine, position: int) -> None:
    different = [field for field in _COPIES if getattr(first, field) != getattr(engine, field)]
    if different:
        raise MistakeError(
            f"{engine.served_model_name!r} is given to two engines, {first.name!r} and {engine.name!r}, that differ in "
            f"{' and '.join(different)}; only copies of one model may share a name",
            *("engines", position, "served_model_name"),
        )


def _check_adapter(
    engine: Engine, position: int, place: int, served: dict[str, Engine], owners: dict[str, Engine]
) -> None:
    adapter = engine.adapters[place]
    where = ("engines", position, "adapters", place, "name")
    if adapter.name in served:
        raise MistakeError(f"{adapter.name!r} is the name of a model, too; rename the adapter", *where)
    if any(other.name == adapter.name for other in engine.adapters[:place]):
        raise MistakeError(f"{adapter.name!r} is given to two adapters; each needs its own", *where)
    owner = owners.setdefault(adapter.name, engine)
    if owner is engine:
        return
    if owner.served_model_name != engine.served_model_name or adapter not in owner.adapters:
        raise MistakeError(
            f"{adapter.name!r} is also the name of an adapter of {owner.name!r}; only copies of one model may share an "
            "adapter, of the same model and revision",
            *where,
        )
