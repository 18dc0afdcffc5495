"""What admission tells of itself, for operators and metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassSnapshot:
    """One class now: slots in use, requests waiting, the longest wait among them, slots freed per second (None: none lately)."""

    running: int
    waiting: int
    oldest_wait_seconds: float
    slots_per_second: float | None


@dataclass(frozen=True, slots=True)
class AdmissionSnapshot:
    """One engine now. `background_limit` is how many slots background may use at this moment."""

    slots: int
    free: int
    reserve: int
    floor: int
    background_limit: int
    interactive: ClassSnapshot
    background: ClassSnapshot
