"""Reads the engines' file again while the engines run: takes over its adapters, and tells what waits for a restart."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tandem_inference.engines.declaration import DeclaredEngines, Engine
from tandem_inference.engines.engines_file import read_engines
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.start_order import ordered
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.errors import StartError

logger = logging.getLogger(__name__)

_AT_RUN_TIME: Final = {"adapters", "max_loras", "max_lora_rank"}


@dataclass(frozen=True)
class EngineReload:
    """What changes in one engine: its adapters at once, the fields in `needs_restart` with the service's next start."""

    engine: str
    adapters_added: tuple[str, ...]
    adapters_removed: tuple[str, ...]
    needs_restart: tuple[str, ...]


@dataclass(frozen=True)
class Reloaded:
    """What a reload has done. Engines that came or went, like a new start order, wait for a restart."""

    file: str
    engines: tuple[EngineReload, ...]
    needs_restart: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Reloader:
    """Reloads `path`, which declares the engines of the running `fleet`."""

    def __init__(self, path: Path, fleet: Fleet) -> None:
        self._path = path
        self._start_order = fleet.start_order
        self._engines = {engine.declared.name: engine for engine in fleet.engines}

    def reload(self) -> Reloaded:
        """Take over what can be and return at once: adapters load and drain in the background.

        Raises:
            StartError: the file is wrong, which changes nothing; one line of text per mistake.
        """
        declared = read_engines(self._path)
        new = {engine.name: engine for engine in declared.engines}
        both = [name for name in self._engines if name in new]
        reloaded = Reloaded(
            str(self._path),
            tuple(self._reload_engine(self._engines[name], new[name]) for name in both),
            self._whole_file(declared),
        )
        logger.info("engines.reloaded", extra=reloaded.as_json())
        return reloaded

    def reload_or_log(self) -> None:
        """Do the same for a caller who reads the log: what is wrong with the file is told there, too."""
        try:
            self.reload()
        except StartError as error:
            logger.error("engines.reload_refused", extra={"reason": str(error)})  # noqa: TRY400 - no traceback

    def _reload_engine(self, engine: SupervisedEngine, new: Engine) -> EngineReload:
        waiting = [
            field
            for field in Engine.model_fields
            if field not in _AT_RUN_TIME and getattr(engine.declared, field) != getattr(new, field)
        ]
        changes = engine.declare_adapters(new)
        return EngineReload(new.name, changes.added, changes.removed, (*waiting, *_lacking_room(engine, new)))

    def _whole_file(self, declared: DeclaredEngines) -> tuple[str, ...]:
        new = [engine.name for engine in declared.engines]
        differences = [f"engine {name!r} was added" for name in new if name not in self._engines]
        differences += [f"engine {name!r} was removed" for name in self._engines if name not in new]
        if not differences and tuple(engine.name for engine in ordered(declared)) != self._start_order:
            differences.append("start_order")
        return tuple(differences)


def _lacking_room(engine: SupervisedEngine, new: Engine) -> list[str]:
    """The fields about adapters that the engine's process, as it was started, cannot follow."""
    has, wants = engine.lora_room, new.lora
    if wants is None:
        return []
    if has is None:
        return ["adapters"]
    lacking = ["max_lora_rank"] if wants.rank > has.rank else []
    return lacking + (["max_loras"] if new.max_loras is not None and new.max_loras != has.slots else [])
