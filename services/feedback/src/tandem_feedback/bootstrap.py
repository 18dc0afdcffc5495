"""Builds feedback's use cases from its settings, runs its loops, and closes everything in reverse order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from tandem_contracts import topics
from tandem_feedback.adapters.dead_letters import DeadLetters
from tandem_feedback.adapters.inference import InferenceGateway
from tandem_feedback.adapters.rubric_files import load_rubrics
from tandem_feedback.adapters.sql.store import SqlStore
from tandem_feedback.adapters.sql.tables import outbox
from tandem_feedback.application.cancel_request import CancelRequest
from tandem_feedback.application.handle_request import HandleRequest, HandlingLimits
from tandem_feedback.application.jobs_port import Store
from tandem_feedback.application.judge import Judge
from tandem_feedback.application.ports import Engine
from tandem_feedback.application.read_jobs import ReadJobs
from tandem_feedback.application.submit_requests import SubmitRequests
from tandem_feedback.application.sweep import Sweeper
from tandem_feedback.domain.webhooks import WebhookHosts
from tandem_feedback.settings import FeedbackSettings
from tandem_messaging.consumer import Consumer, ConsumerLimits, MakeTopology, event_of
from tandem_messaging.database import Database
from tandem_messaging.pubsub import PubSub, PubSubPublisher, PubSubSubscriber, connect
from tandem_messaging.relay import Relay
from tandem_messaging.tasks import BackgroundLoops
from tandem_messaging.topology import make_topology

# What a stop takes beside the jobs: ending HTTP connections, giving back what is unfinished, closing.
_CLOSING_SECONDS = 6.0
_FLUSH_SECONDS = 2.0


@dataclass(frozen=True)
class Worker:
    """What the HTTP face may ask."""

    store: Store
    engine: Engine
    loops: BackgroundLoops
    submit: SubmitRequests
    cancel: CancelRequest
    jobs: ReadJobs


@asynccontextmanager
async def bootstrap(settings: FeedbackSettings) -> AsyncIterator[Worker]:
    """Wire the worker and run it for as long as the context is open; leaving drains it."""
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        token = settings.inference_token.get_secret_value() if settings.inference_token else None
        engine = InferenceGateway(str(settings.inference_url), token)
        stack.push_async_callback(engine.close)
        pubsub = await stack.enter_async_context(connect(settings.pubsub_project))

        store = SqlStore(database)
        publisher = PubSubPublisher(pubsub)
        remake = _remake(pubsub)
        relay = Relay(database, outbox, publisher, make_topology=remake)
        handler = HandleRequest(
            store,
            Judge(engine, load_rubrics(settings.rubrics_dir), settings.model),
            HandlingLimits(
                lease=timedelta(seconds=settings.lease_seconds),
                max_attempts=settings.max_attempts,
                default_deadline=timedelta(seconds=settings.deadline_seconds),
            ),
            on_committed=relay.wake,
        )
        consumer = Consumer(
            PubSubSubscriber(pubsub, topics.FEEDBACK_REQUESTS_WORKER.name),
            handler.handle,
            read=event_of,
            dead_letter=DeadLetters(publisher, remake).send,
            limits=ConsumerLimits(
                slots=settings.slots,
                lease_seconds=settings.lease_seconds,
                beat_seconds=settings.lease_seconds / 3,
                drain_seconds=max(0.0, settings.drain_seconds - _CLOSING_SECONDS),
            ),
            make_topology=remake,
        )
        sweeper = Sweeper(
            store,
            every_seconds=settings.sweep_every_seconds,
            requeue_after=timedelta(seconds=settings.requeue_after_seconds),
            queue_is_empty=lambda: consumer.found_nothing,
            on_committed=relay.wake,
        )

        loops = BackgroundLoops()
        stack.push_async_callback(loops.close)
        loops.start("relay", relay.run)
        loops.start("requests consumer", consumer.run)
        loops.start("sweeper", sweeper.run)
        # Results finished while draining should leave before the relay ends; what does not, waits in the outbox.
        stack.push_async_callback(_flush, relay)
        stack.push_async_callback(consumer.drain)

        yield Worker(
            store=store,
            engine=engine,
            loops=loops,
            submit=SubmitRequests(
                store,
                WebhookHosts(settings.listed_webhook_hosts),
                default_deadline=timedelta(seconds=settings.deadline_seconds),
                on_committed=relay.wake,
            ),
            cancel=CancelRequest(store, on_committed=relay.wake),
            jobs=ReadJobs(store),
        )


async def _flush(relay: Relay) -> None:
    """Publish what is due, unless Pub/Sub is too slow for a process that has to stop; the next one sends the rest."""
    with suppress(TimeoutError):
        await asyncio.wait_for(relay.flush(), _FLUSH_SECONDS)


def require_rubrics(settings: FeedbackSettings) -> None:
    """Raise RubricFileError when a rubric file cannot be used."""
    load_rubrics(settings.rubrics_dir)


def _remake(pubsub: PubSub) -> MakeTopology | None:
    if not pubsub.is_emulator:
        return None

    async def remake() -> None:
        await make_topology(pubsub)

    return remake
