"""Lets requests into one engine: at once, after a bounded wait, or not at all. The rules are in `slots`; this adds time."""

import asyncio
import time
from collections.abc import Callable

from tandem_inference.errors import QueueFullError, QueueTimeoutError
from tandem_inference.gateway.admission.limits import AdmissionLimits
from tandem_inference.gateway.admission.service_rate import ServiceRate
from tandem_inference.gateway.admission.slots import Slots
from tandem_inference.gateway.admission.snapshot import AdmissionSnapshot, ClassSnapshot
from tandem_inference.gateway.admission.ticket import Phase, Ticket
from tandem_inference.gateway.request_class import RequestClass


class Admission:
    """One engine's door. Whoever has called `enter` calls `leave` in the end, whatever happened between."""

    def __init__(
        self,
        engine: str,
        slots: int,
        limits: AdmissionLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self._engine = engine
        self._clock = clock
        self._slots = Slots(slots, reserve=limits.reserve, floor=limits.floor)
        self._woken: dict[Ticket, asyncio.Future[None]] = {}
        self._rates = {request_class: ServiceRate(clock()) for request_class in RequestClass}

    async def enter(self, ticket: Ticket, seconds: float, *, first: bool = False) -> None:
        """Return once `ticket` may run, within `seconds`; `first` puts it before all others of its class.

        Raises:
            QueueFullError: as many wait already as may.
            QueueTimeoutError: its turn did not come in time.
        """
        ticket.arrived = self._clock()
        self._slots.enter(ticket, first=first)
        if ticket.phase is Phase.RUNNING:
            return
        waiting = len(self._slots.queues[ticket.request_class])
        if waiting > self.limits.of(ticket.request_class).queue_length and not first:
            self.leave(ticket)
            raise self._full(ticket.request_class)
        self._woken[ticket] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._woken[ticket]
        except TimeoutError:
            self.leave(ticket)
            raise self._timed_out(ticket.request_class, seconds) from None
        except BaseException:
            self.leave(ticket)  # the caller has left; a slot may have come at the same moment
            raise
        finally:
            del self._woken[ticket]

    def leave(self, ticket: Ticket) -> None:
        """Free the slots of `ticket`, or its place in the queue. Idempotent."""
        if ticket.phase is Phase.RUNNING:
            self._rates[ticket.request_class].add(ticket.slots, self._clock())
        for admitted in self._slots.leave(ticket):
            woken = self._woken[admitted]
            if not woken.done():
                woken.set_result(None)

    @property
    def free_share(self) -> float:
        """Free slots less the requests that wait for one, as a share of all: what a copy of the model is chosen by."""
        waiting = sum(len(queue) for queue in self._slots.queues.values())
        return (self._slots.free - waiting) / self._slots.total

    def snapshot(self) -> AdmissionSnapshot:
        """Return how things stand now."""
        slots = self._slots
        return AdmissionSnapshot(
            slots=slots.total,
            free=slots.free,
            reserve=slots.reserve,
            floor=slots.floor,
            background_limit=slots.background_limit,
            interactive=self._class_snapshot(RequestClass.INTERACTIVE),
            background=self._class_snapshot(RequestClass.BACKGROUND),
        )

    def _class_snapshot(self, request_class: RequestClass) -> ClassSnapshot:
        queue = self._slots.queues[request_class]
        now, oldest = self._clock(), queue.oldest()
        return ClassSnapshot(
            running=self._slots.running[request_class],
            waiting=len(queue),
            oldest_wait_seconds=0.0 if oldest is None else now - oldest.arrived,
            slots_per_second=self._rates[request_class].per_second(now),
        )

    def _full(self, request_class: RequestClass) -> QueueFullError:
        length = self.limits.of(request_class).queue_length
        return QueueFullError(
            f"The engine {self._engine!r} is busy and {length} {request_class} requests wait already, which is the most "
            "that may. Ask again after the time in Retry-After.",
            retry_after_seconds=self.retry_after_seconds(request_class),
        )

    def _timed_out(self, request_class: RequestClass, seconds: float) -> QueueTimeoutError:
        return QueueTimeoutError(
            f"The request waited {seconds:.3g} s for the engine {self._engine!r}, the longest that it may as "
            f"{request_class}, and was not begun. Ask again after the time in Retry-After.",
            retry_after_seconds=self.retry_after_seconds(request_class),
        )

    def retry_after_seconds(self, request_class: RequestClass) -> int:
        """Return when a request that was sent away may come back."""
        waiting = len(self._slots.queues[request_class])
        return self._rates[request_class].retry_after_seconds(waiting, self._clock())
