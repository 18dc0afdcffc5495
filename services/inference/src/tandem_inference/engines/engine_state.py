"""The states of a supervised engine; what leads from one to the next is `supervised_engine`'s business."""

from enum import StrEnum


class EngineState(StrEnum):
    """`failed` engines are left alone until the service is started again; `asleep` ones are woken by a request."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    ASLEEP = "asleep"
    WAKING = "waking"
    STOPPED = "stopped"
    FAILED = "failed"


FINE = frozenset({EngineState.READY, EngineState.ASLEEP, EngineState.WAKING})
"""States in which a request is answered, if need be after a wait."""

GIVEN_UP = frozenset({EngineState.FAILED, EngineState.STOPPED})
"""States that no waiting ends."""
