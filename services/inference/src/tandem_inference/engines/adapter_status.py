"""The state of one adapter of an engine, as operators see it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tandem_inference.engines.declared_adapter import Adapter


class AdapterState(StrEnum):
    """`draining` ones take no new requests; `failed` ones say why, and are tried again where that may help."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"


@dataclass
class AdapterStatus:
    """One adapter; changed by `adapter_set` alone. `is_loaded` is about the engine's process that runs now."""

    adapter: Adapter
    state: AdapterState = AdapterState.LOADING
    reason: str | None = None
    is_loaded: bool = False

    def as_json(self) -> dict[str, Any]:
        """The adapter for `GET /engines`."""
        return {
            "name": self.adapter.name,
            "model": self.adapter.model,
            "revision": self.adapter.revision,
            "state": self.state,
            "reason": self.reason,
        }
