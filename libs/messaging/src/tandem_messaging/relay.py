"""Publishes what the outbox holds, for as long as the process runs; several relays on one outbox share the work.

A row is deleted only after the broker has answered, so a crash can publish twice but never not at all.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import uuid4

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_messaging.database import Database, database_now
from tandem_messaging.errors import TopologyMissingError, TransientError
from tandem_messaging.outbox import OutboxRow, claim_due, give_back, remove_published
from tandem_messaging.ports import OutgoingMessage, Publisher
from tandem_telemetry import extract_context, inject_context, names

logger = logging.getLogger(__name__)
_tracer = trace.get_tracer(__name__)
_meter = metrics.get_meter(__name__)
_published = _meter.create_counter(names.OUTBOX_PUBLISHED, "{message}", "Messages published from the outbox")
_failures = _meter.create_counter(names.OUTBOX_FAILURES, "{attempt}", "Publish attempts that failed")
_delay = _meter.create_histogram(names.OUTBOX_DELAY, "s", "From commit to published")

_BATCH_ROWS = 100
# Pub/Sub takes 10 MB a request; attributes and framing need some of it.
_MAX_REQUEST_BYTES = 8_000_000
# Longer than a publish may take, so that two relays rarely send the same row.
_CLAIM_LEASE = timedelta(seconds=30)
_IDLE_POLL_SECONDS = 1.0
_FIRST_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 5.0

OnPublished = Callable[[AsyncSession, Sequence[OutboxRow]], Awaitable[None]]
MakeTopology = Callable[[], Awaitable[None]]


class Relay:
    """Moves rows from one service's outbox to the broker.

    `on_published` runs in the transaction that deletes the rows. `make_topology` is called when a topic is missing;
    leave it out in production, where Terraform alone makes topics.
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        publisher: Publisher,
        *,
        on_published: OnPublished | None = None,
        make_topology: MakeTopology | None = None,
    ) -> None:
        self._database = database
        self._table = table
        self._publisher = publisher
        self._on_published = on_published
        self._make_topology = make_topology
        self._owner = uuid4().hex
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that a transaction with an event has just committed, so that nobody waits for the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                published = await self.publish_due()
            except TransientError as error:
                _failures.add(1)
                logger.warning(
                    "outbox.publish_failed", extra={"error": str(error), "retry_in_seconds": backoff}
                )
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)
                continue
            backoff = _FIRST_BACKOFF_SECONDS
            if published < _BATCH_ROWS:
                await self._wait()

    async def flush(self) -> None:
        """Publish what is due now, once; what the broker refuses stays for the next start."""
        try:
            await self.publish_due()
        except TransientError as error:
            logger.warning("outbox.flush_failed", extra={"error": str(error)})

    async def publish_due(self) -> int:
        """Publish one batch and return how many rows it had.

        Raises:
            TransientError: the broker refused or did not answer; the rows stay and are due again.
        """
        async with self._database.write() as session:
            now = await database_now(session)
            rows = await claim_due(
                session, self._table, owner=self._owner, now=now, until=now + _CLAIM_LEASE, limit=_BATCH_ROWS
            )
        left = {row.id for row in rows}
        try:
            for batch in _batches(rows):
                await self._publish(batch[0].topic, batch)
                await self._forget(batch)
                left -= {row.id for row in batch}
        finally:
            if left:
                async with self._database.write() as session:
                    await give_back(session, self._table, owner=self._owner, ids=sorted(left))
        return len(rows)

    async def _publish(self, topic: str, rows: Sequence[OutboxRow]) -> None:
        messages = [_traced_message(topic, row) for row in rows]
        try:
            await self._publisher.publish(topic, messages)
        except TopologyMissingError:
            if self._make_topology is None:
                raise
            await self._make_topology()
            await self._publisher.publish(topic, messages)

    async def _forget(self, rows: Sequence[OutboxRow]) -> None:
        async with self._database.write() as session:
            now = await database_now(session)
            await remove_published(session, self._table, owner=self._owner, ids=[row.id for row in rows])
            if self._on_published is not None:
                await self._on_published(session, rows)
        for row in rows:
            _delay.record((now - row.created_at).total_seconds())
            logger.info(
                "outbox.published",
                extra={
                    "topic": row.topic,
                    "type": row.attributes.get("ce-type", ""),
                    "request_id": row.request_id,
                },
            )
        _published.add(len(rows))

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_IDLE_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


def _batches(rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
    """Split into runs of one topic that fit one publish request."""
    batches: list[list[OutboxRow]] = []
    size = 0
    for row in sorted(rows, key=lambda row: (row.topic, row.id)):
        if not batches or batches[-1][0].topic != row.topic or size + len(row.data) > _MAX_REQUEST_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(row)
        size += len(row.data)
    return batches


def _traced_message(topic: str, row: OutboxRow) -> OutgoingMessage:
    attributes = {names.REQUEST_ID: row.request_id, names.EVENT_TYPE: row.attributes.get("ce-type", "")}
    with _tracer.start_as_current_span(
        f"publish {topic}",
        context=extract_context(row.attributes),
        kind=SpanKind.PRODUCER,
        attributes=attributes,
    ):
        return OutgoingMessage(row.data, {**row.attributes, **inject_context()}, row.ordering_key)
