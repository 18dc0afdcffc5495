"""Pulls exactly as many messages as there are free slots, keeps their leases, and acknowledges after the work is committed.

The handler's exception decides a message's fate: `TransientError` is waited out without giving the message back (a
`LaterError` gives it back for that long), `PermanentError` sends it to the dead letters, any other error gives it back.
"""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind

from tandem_contracts.envelope import Envelope, UnreadableEventError, decode
from tandem_messaging.errors import LaterError, PermanentError, TopologyMissingError, TransientError
from tandem_messaging.ports import ReceivedMessage, Subscriber
from tandem_telemetry import extract_context, names

logger = logging.getLogger(__name__)
_tracer = trace.get_tracer(__name__)
_meter = metrics.get_meter(__name__)
_messages = _meter.create_counter(names.CONSUMER_MESSAGES, "{message}", "Messages by outcome")
_duration = _meter.create_histogram(names.CONSUMER_DURATION, "s", "From receipt to outcome")
_in_flight = _meter.create_up_down_counter(names.CONSUMER_IN_FLIGHT, "{message}", "Messages held now")

_FIRST_BACKOFF_SECONDS = 0.5
# Without a wish in the error: soon enough after an outage, and a handler that cannot work answers cheaply.
_MAX_OWN_BACKOFF_SECONDS = 10.0
# Whatever an error asks for: work that is not looked at for longer counts as abandoned and is published again.
_MAX_BACKOFF_SECONDS = 30.0
_MAX_PULL_BACKOFF_SECONDS = 5.0
# After a defect in the handler: long enough not to spin, short enough for a fixed worker to be met soon.
_RETRY_FAILED_SECONDS = 10
_LAST_PULL_SECONDS = 5.0
# What Pub/Sub takes as the longest time until a redelivery.
_MAX_GIVE_BACK_SECONDS = 600
# Telling the database and the broker that work was given back; whoever does not answer learns it by the lease's end.
_GIVE_BACK_SECONDS = 3.0

_Read = TypeVar("_Read")
DeadLetter = Callable[[ReceivedMessage, Exception], Awaitable[None]]
MakeTopology = Callable[[], Awaitable[None]]


def event_of(message: ReceivedMessage) -> Envelope:
    """Read the event that `message` carries. Raises UnreadableEventError."""
    envelope = decode(message.data, message.attributes)
    trace.get_current_span().set_attribute(names.REQUEST_ID, envelope.event.request_id)
    return envelope


def as_it_came(message: ReceivedMessage) -> ReceivedMessage:
    """Read nothing: for topics that hold what is no event."""
    return message


@dataclass(frozen=True)
class ConsumerLimits:
    """How much a consumer holds and for how long. Times in seconds; a lease must outlast two missed beats."""

    slots: int = 4
    lease_seconds: int = 20
    beat_seconds: float = 6.0
    drain_seconds: float = 25.0


class Consumer(Generic[_Read]):
    """Runs `handler` on what `read` makes of each message of one subscription.

    `dead_letter` receives what cannot be read or served, with the error; the message is acknowledged only after it
    returned. `make_topology` is called when the subscription is missing; leave it out in production.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        handler: Callable[[_Read], Awaitable[None]],
        *,
        read: Callable[[ReceivedMessage], _Read],
        dead_letter: DeadLetter,
        limits: ConsumerLimits | None = None,
        make_topology: MakeTopology | None = None,
    ) -> None:
        self._subscriber = subscriber
        self._handler = handler
        self._read = read
        self._dead_letter = dead_letter
        self._limits = limits or ConsumerLimits()
        self._make_topology = make_topology
        self._jobs: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()
        self._stopped = asyncio.Event()
        self._found_nothing = False

    @property
    def found_nothing(self) -> bool:
        """The last Pull had a free slot and brought nothing: whatever waits for a worker is not in the queue."""
        return self._found_nothing and len(self._jobs) < self._limits.slots

    async def run(self) -> None:
        """Consume until `drain` is called, then wait to be cancelled."""
        await self._consume()
        self._stopped.set()
        await asyncio.Event().wait()

    async def _consume(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._draining.is_set():
            free = self._limits.slots - len(self._jobs)
            if free == 0:
                await self._until_a_slot_is_free()
                continue
            try:
                received = await self._subscriber.pull(free)
                backoff, self._found_nothing = _FIRST_BACKOFF_SECONDS, not received
            except TransientError as error:
                self._found_nothing = False
                logger.warning(
                    "consumer.pull_failed", extra={"error": str(error), "retry_in_seconds": backoff}
                )
                await self._recover(error, backoff)
                backoff = min(backoff * 2, _MAX_PULL_BACKOFF_SECONDS)
                continue
            for message in received:
                job = asyncio.create_task(self._hold(message))
                self._jobs.add(job)
                job.add_done_callback(self._jobs.discard)

    async def _until_a_slot_is_free(self) -> None:
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait({*self._jobs, draining}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()

    async def drain(self) -> None:
        """Pull nothing more, let held messages finish for `drain_seconds`, then give back the rest."""
        self._draining.set()
        started = asyncio.get_running_loop().time()
        # A Pull cut short would keep its messages from others until their leases lapse.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), _LAST_PULL_SECONDS)
        if not self._jobs:
            return
        left = self._limits.drain_seconds - (asyncio.get_running_loop().time() - started)
        _, unfinished = await asyncio.wait(self._jobs, timeout=max(0.0, left))
        for job in unfinished:
            job.cancel()
        if unfinished:
            logger.warning("consumer.drain_gave_back", extra={"messages": len(unfinished)})
            await asyncio.wait(unfinished, timeout=_GIVE_BACK_SECONDS)

    async def _recover(self, error: TransientError, backoff: float) -> None:
        if isinstance(error, TopologyMissingError) and self._make_topology is not None:
            try:
                await self._make_topology()
            except TransientError as still_down:
                logger.warning("consumer.topology_failed", extra={"error": str(still_down)})
            else:
                return
        await asyncio.sleep(backoff)

    async def _hold(self, message: ReceivedMessage) -> None:
        """Work on one message under a kept lease; never raises, so that one message cannot end the loop."""
        if self._draining.is_set():
            await self._give_back(message)
            return
        _in_flight.add(1)
        started = asyncio.get_running_loop().time()
        heartbeat = asyncio.create_task(self._keep_lease(message))
        outcome, after_seconds = "returned", 0
        try:
            outcome = await self._settle(message)
        except LaterError as error:
            outcome, after_seconds = "later", _whole_seconds(error.retry_after)
            logger.info(
                "consumer.later",
                extra={
                    "message_id": message.message_id,
                    "error": str(error),
                    "retry_in_seconds": after_seconds,
                },
            )
        except Exception as error:
            outcome, after_seconds = "failed", _RETRY_FAILED_SECONDS
            logger.exception(
                "consumer.handler_failed", extra={"message_id": message.message_id, "error": str(error)}
            )
        finally:
            heartbeat.cancel()
            if outcome in ("failed", "later", "returned"):
                await self._give_back(message, after_seconds)
            _in_flight.add(-1)
            _messages.add(1, {names.OUTCOME: outcome})
            _duration.record(asyncio.get_running_loop().time() - started, {names.OUTCOME: outcome})

    async def _settle(self, message: ReceivedMessage) -> str:
        with _tracer.start_as_current_span(
            "process message",
            context=extract_context(message.attributes),
            kind=SpanKind.CONSUMER,
            attributes={names.EVENT_TYPE: message.attributes.get("ce-type", "")},
        ):
            try:
                content = self._read(message)
                await self._once_possible(lambda: self._handler(content), message)
            except (UnreadableEventError, PermanentError) as error:
                logger.warning(
                    "consumer.dead_lettered", extra={"message_id": message.message_id, "error": str(error)}
                )
                reason = error
                await self._once_possible(lambda: self._dead_letter(message, reason), message)
                outcome = "dead_lettered"
            else:
                outcome = "done"
            await self._acknowledge(message)
            return outcome

    async def _once_possible(self, attempt: Callable[[], Awaitable[None]], message: ReceivedMessage) -> None:
        """Call `attempt` until it stops saying "wait": waiting for capacity is not failing."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                return await attempt()
            except LaterError:
                raise
            except TransientError as error:
                wanted = min(max(backoff, error.retry_after or 0.0), _MAX_BACKOFF_SECONDS)
                pause = wanted * random.uniform(1.0, 1.3)  # noqa: S311 - jitter
                logger.info(
                    "consumer.waiting",
                    extra={
                        "message_id": message.message_id,
                        "error": str(error),
                        "retry_in_seconds": round(pause, 2),
                    },
                )
                await self._pause(pause, error)
                backoff = min(backoff * 2, _MAX_OWN_BACKOFF_SECONDS)

    async def _pause(self, seconds: float, error: TransientError) -> None:
        """Wait, unless the consumer is to stop: then others may wait just as well."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), seconds)
            raise LaterError(f"stopping while waiting: {error}")

    async def _keep_lease(self, message: ReceivedMessage) -> None:
        while True:
            try:
                await self._subscriber.extend_lease([message.ack_id], self._limits.lease_seconds)
            except TransientError as error:
                logger.warning("consumer.heartbeat_failed", extra={"error": str(error)})
            except Exception:  # a heart that stops silently lets the message go to somebody else
                logger.exception("consumer.heartbeat_failed", extra={"message_id": message.message_id})
            await asyncio.sleep(self._limits.beat_seconds)

    async def _acknowledge(self, message: ReceivedMessage) -> None:
        try:
            await self._subscriber.acknowledge([message.ack_id])
        except TransientError as error:  # it comes back, and finds its work done
            logger.warning(
                "consumer.ack_failed", extra={"message_id": message.message_id, "error": str(error)}
            )

    async def _give_back(self, message: ReceivedMessage, after_seconds: int = 0) -> None:
        try:
            if after_seconds:
                await self._subscriber.extend_lease([message.ack_id], after_seconds)
            else:
                await self._subscriber.release([message.ack_id])
        except TransientError as error:  # its lease lapses by itself
            logger.warning(
                "consumer.release_failed", extra={"message_id": message.message_id, "error": str(error)}
            )


def _whole_seconds(wanted: float | None) -> int:
    return min(max(1, math.ceil(wanted or 0)), _MAX_GIVE_BACK_SECONDS)
