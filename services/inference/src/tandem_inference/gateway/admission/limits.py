"""The rules of admission as numbers: slots kept free, slots promised, and how many may wait for how long."""

from dataclasses import dataclass

from tandem_inference.gateway.request_class import RequestClass


@dataclass(frozen=True, slots=True)
class ClassLimits:
    """How many requests of a class may wait, and how long each."""

    queue_length: int
    longest_wait_seconds: float


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Slots that background leaves free for chat (`reserve`), slots promised to it (`floor`), and the two queues."""

    reserve: int
    floor: int
    interactive: ClassLimits
    background: ClassLimits

    def of(self, request_class: RequestClass) -> ClassLimits:
        """Return the limits of one class."""
        return self.interactive if request_class is RequestClass.INTERACTIVE else self.background
