"""Runs declared engines with the stub's program inside the test's own event loop, for tests of what supervises them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.restart_policy import RestartPolicy
from tandem_inference.engines.supervised_engine import SupervisedEngine, SupervisionLimits
from tests.support.inference_service import STUB_ENGINE
from tests.support.ports import free_ports

DEADLINE_SECONDS = 90.0


def stub_engines(
    declared: Sequence[Engine], *flags: str, sleep_mode: bool = False
) -> tuple[SupervisedEngine, ...]:
    """Engines that are not running yet; `flags` go to the stub."""
    limits = SupervisionLimits(
        program=(sys.executable, str(STUB_ENGINE), *flags),
        start_timeout_seconds=DEADLINE_SECONDS,
        stop_grace_seconds=5,
        sleep_mode=sleep_mode,
    )
    ports = free_ports(len(declared))
    return tuple(
        SupervisedEngine(engine, port, limits, RestartPolicy(first_delay_seconds=0.05))
        for engine, port in zip(declared, ports, strict=True)
    )


@asynccontextmanager
async def running(
    engines: Sequence[SupervisedEngine], order: Sequence[str] | None = None
) -> AsyncIterator[Fleet]:
    """Run `engines` while the context is open; they have all been started, or given up, when it opens."""
    fleet = Fleet(engines, order)
    task = asyncio.create_task(fleet.run())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for engine in engines:
                await engine.settled.wait()
        yield fleet
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def adapter_folder(parent: Path, name: str, *, rank: int = 8, broken: bool = False) -> Path:
    """A folder that the stub loads as an adapter, unless it is `broken`."""
    folder = parent / name
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    if broken:
        (folder / "broken").touch()
    return folder


def chat(model: str, text: str = "hi") -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}]}
