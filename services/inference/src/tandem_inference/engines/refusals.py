"""Says why an engine, or one of its adapters, cannot answer now, and when to ask again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tandem_inference.engines.adapter_status import AdapterState, AdapterStatus
from tandem_inference.engines.engine_state import GIVEN_UP, EngineState
from tandem_inference.errors import EngineNotReadyError

if TYPE_CHECKING:
    from tandem_inference.engines.supervised_engine import SupervisedEngine

_WAITING_SECONDS: Final = 5
_FAILED_SECONDS: Final = 60


def engine_refusal(engine: SupervisedEngine, rest_seconds: int | None) -> EngineNotReadyError:
    """The error for requests to `engine`; `rest_seconds` is how long it is expected to take until it is awake."""
    given_up = engine.state in GIVEN_UP
    state = "no longer answering" if engine.state is EngineState.READY else engine.state.value
    reason = f": {engine.last_error.removesuffix('.')}" if engine.last_error else ""
    change = f" Proposed change of the engines' file: {engine.proposal}" if engine.proposal else ""
    advice = "It is not started again by itself; read the service's log." if given_up else "Ask again later."
    declared = engine.declared
    return EngineNotReadyError(
        f"The engine {declared.name!r}, which serves {declared.served_model_name!r}, is {state}{reason}.{change} {advice}",
        retry_after_seconds=_FAILED_SECONDS if given_up else rest_seconds or _WAITING_SECONDS,
    )


def adapter_refusal(engine: SupervisedEngine, status: AdapterStatus) -> EngineNotReadyError:
    """The error for requests to one adapter of a ready engine."""
    reason = f": {status.reason.removesuffix('.')}" if status.reason else ""
    failed = status.state is AdapterState.FAILED
    return EngineNotReadyError(
        f"The adapter {status.adapter.name!r} of the engine {engine.declared.name!r} is {status.state}{reason}. "
        "Ask again later.",
        retry_after_seconds=_FAILED_SECONDS if failed else _WAITING_SECONDS,
    )
