"""What the stub engine does for its supervisor: adapters and sleep, on the paths and under the variables of vLLM."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class StubAdministration:
    """Adapters by name, and whether the engine sleeps. A folder with `broken` in it cannot be loaded."""

    max_lora_rank: int = 16
    adapters: dict[str, str] = field(default_factory=dict)
    is_asleep: bool = False

    @property
    def routes(self) -> list[Route]:
        routes = []
        if os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1":
            routes += [
                Route("/v1/load_lora_adapter", self._load, methods=["POST"]),
                Route("/v1/unload_lora_adapter", self._unload, methods=["POST"]),
            ]
        if os.environ.get("VLLM_SERVER_DEV_MODE") == "1":
            routes += [
                Route("/sleep", self._sleep, methods=["POST"]),
                Route("/wake_up", self._wake_up, methods=["POST"]),
                Route("/is_sleeping", self._is_sleeping),
            ]
        return routes

    async def _load(self, request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        name, folder = body["lora_name"], Path(body["lora_path"])
        if name in self.adapters:
            return _refused(400, f"The lora adapter '{name}' has already been loaded.")
        if (folder / "broken").exists():
            return _refused(500, "Error while deserializing header: invalid header")
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
        if rank > self.max_lora_rank:
            return _refused(500, f"LoRA rank {rank} is greater than max_lora_rank {self.max_lora_rank}.")
        self.adapters[name] = str(folder)
        return Response(f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: Request) -> Response:
        name = (await request.json())["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _refused(404, f"The lora adapter '{name}' cannot be found.")
        return Response(f"Success: LoRA adapter '{name}' removed successfully.")

    async def _sleep(self, request: Request) -> Response:
        self.is_asleep = True
        return JSONResponse({"status": "sleeping", "level": int(request.query_params["level"])})

    async def _wake_up(self, request: Request) -> Response:
        self.is_asleep = False
        return JSONResponse({"status": "awake", "tags": None})

    async def _is_sleeping(self, request: Request) -> Response:
        return JSONResponse({"is_sleeping": self.is_asleep})


def note_start(file: Path, name: str) -> None:
    """Add `start name` to `file`."""
    _add(file, f"start {name}")


def end_noted(app: Starlette, file: Path, name: str) -> None:
    """Have `app` add `end name` to `file` when it is stopped in order."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        _add(file, f"end {name}")

    app.router.lifespan_context = lifespan


def _add(file: Path, line: str) -> None:
    with file.open("a") as notes:
        notes.write(f"{line}\n")


def _refused(status: int, message: str) -> Response:
    error = {"message": message, "type": "Error", "param": None, "code": status}
    return JSONResponse({"error": error}, status_code=status)
