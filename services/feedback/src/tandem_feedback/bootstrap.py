"""Builds feedback's use cases from its settings, runs its loops, and closes everything in reverse order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tandem_contracts import topics
from tandem_feedback.adapters.dead_letters import DeadLetterSender, death_of
from tandem_feedback.adapters.inference import InferenceGateway
from tandem_feedback.adapters.rubric_files import load_rubrics
from tandem_feedback.adapters.sql.dead_letter_box import SqlDeadLetterBox
from tandem_feedback.adapters.sql.evaluation import SqlEvaluationStore
from tandem_feedback.adapters.sql.store import SqlStore
from tandem_feedback.adapters.sql.tables import outbox
from tandem_feedback.adapters.sql.webhook_queue import SqlWebhookQueue
from tandem_feedback.adapters.webhooks import HttpsWebhookSender
from tandem_feedback.application.cancel_request import CancelRequest
from tandem_feedback.application.dead_letters import DeadLetters
from tandem_feedback.application.deliver_webhooks import DeliverWebhooks, WebhookQueue
from tandem_feedback.application.evaluation import Evaluation
from tandem_feedback.application.handle_request import HandleRequest, HandlingLimits
from tandem_feedback.application.jobs_port import Store
from tandem_feedback.application.judge import Judge
from tandem_feedback.application.ports import Engine
from tandem_feedback.application.read_jobs import ReadJobs
from tandem_feedback.application.run_batches import BatchFeeder
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

# The rest of the time to stop goes to ending HTTP connections, giving back what is unfinished, and closing.
_SHARE_OF_JOBS = 0.7
_FLUSH_SECONDS = 2.0
_FEED_EVERY_SECONDS = 1.0
_LETTERS = ConsumerLimits(slots=20, drain_seconds=1.0)


@dataclass(frozen=True)
class Worker:
    """What the HTTP face may ask."""

    store: Store
    engine: Engine
    loops: BackgroundLoops
    submit: SubmitRequests
    cancel: CancelRequest
    jobs: ReadJobs
    dead_letters: DeadLetters
    webhooks: WebhookQueue
    evaluation: Evaluation


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
        limits = HandlingLimits(
            lease=timedelta(seconds=settings.lease_seconds),
            max_attempts=settings.max_attempts,
            default_deadline=timedelta(seconds=settings.deadline_seconds),
        )
        rubrics = load_rubrics(settings.rubrics_dir)
        judge = Judge(engine, rubrics, settings.model)
        consumer = Consumer(
            PubSubSubscriber(pubsub, topics.FEEDBACK_REQUESTS_WORKER.name),
            HandleRequest(store, judge, limits, on_committed=relay.wake).handle,
            read=event_of,
            dead_letter=DeadLetterSender(publisher, remake).send,
            limits=_consumer_limits(settings),
            make_topology=remake,
        )
        sweeper = Sweeper(
            store,
            every_seconds=settings.sweep_every_seconds,
            requeue_after=timedelta(seconds=settings.requeue_after_seconds),
            queue_is_empty=lambda: consumer.found_nothing,
            on_committed=relay.wake,
        )
        dead_letters = _dead_letters(database, settings, relay)
        undertaker = Consumer(
            PubSubSubscriber(pubsub, topics.FEEDBACK_REQUESTS_DEAD_INSPECTION.name),
            dead_letters.keep,
            read=death_of,
            dead_letter=DeadLetterSender(publisher, remake).send,
            limits=_LETTERS,
            make_topology=remake,
        )
        hosts = WebhookHosts(settings.listed_webhook_hosts)
        webhooks, sender = SqlWebhookQueue(database), _webhook_sender(settings)
        if sender is not None:
            stack.push_async_callback(sender.close)

        evaluation_store = SqlEvaluationStore(database)
        feeder = BatchFeeder(
            evaluation_store,
            in_flight=settings.batch_in_flight,
            every_seconds=_FEED_EVERY_SECONDS,
            default_deadline=limits.default_deadline,
            on_committed=relay.wake,
        )

        loops = BackgroundLoops()
        stack.push_async_callback(loops.close)
        loops.start("relay", relay.run)
        loops.start("requests consumer", consumer.run)
        loops.start("dead letters consumer", undertaker.run)
        loops.start("dead letters purge", dead_letters.run)
        loops.start("sweeper", sweeper.run)
        loops.start("batch feeder", feeder.run)
        if sender is not None:
            loops.start("webhooks", DeliverWebhooks(webhooks, sender, hosts).run)
        # Results finished while draining should leave before the relay ends; what does not, waits in the outbox.
        stack.push_async_callback(_flush, relay)
        stack.push_async_callback(_drain, consumer, undertaker)

        yield Worker(
            store=store,
            engine=engine,
            loops=loops,
            submit=SubmitRequests(
                store, hosts, default_deadline=limits.default_deadline, on_committed=relay.wake
            ),
            cancel=CancelRequest(store, on_committed=relay.wake),
            jobs=ReadJobs(store),
            dead_letters=dead_letters,
            webhooks=webhooks,
            evaluation=Evaluation.of(evaluation_store, rubrics),
        )


@asynccontextmanager
async def open_dead_letters(settings: FeedbackSettings) -> AsyncIterator[DeadLetters]:
    """Open the dead letters alone, for the command line; a running worker publishes what is replayed."""
    database = Database(settings.database_url.get_secret_value())
    try:
        yield _dead_letters(database, settings, None)
    finally:
        await database.close()


@asynccontextmanager
async def open_evaluation(settings: FeedbackSettings) -> AsyncIterator[Evaluation]:
    """Open evaluation alone, for the command line's reports."""
    database = Database(settings.database_url.get_secret_value())
    try:
        yield Evaluation.of(SqlEvaluationStore(database), load_rubrics(settings.rubrics_dir))
    finally:
        await database.close()


def require_rubrics(settings: FeedbackSettings) -> None:
    """Raise RubricFileError when a rubric file cannot be used."""
    load_rubrics(settings.rubrics_dir)


def _dead_letters(database: Database, settings: FeedbackSettings, relay: Relay | None) -> DeadLetters:
    return DeadLetters(
        SqlDeadLetterBox(database),
        kept=timedelta(days=settings.dead_letters_kept_days),
        on_committed=relay.wake if relay else lambda: None,
    )


def _webhook_sender(settings: FeedbackSettings) -> HttpsWebhookSender | None:
    secret = settings.webhook_secret
    return HttpsWebhookSender(secret.get_secret_value()) if secret and settings.listed_webhook_hosts else None


def _consumer_limits(settings: FeedbackSettings) -> ConsumerLimits:
    return ConsumerLimits(
        slots=settings.slots,
        lease_seconds=settings.lease_seconds,
        beat_seconds=settings.lease_seconds / 3,
        drain_seconds=settings.drain_seconds * _SHARE_OF_JOBS,
    )


async def _drain(requests: Consumer[Any], letters: Consumer[Any]) -> None:
    await asyncio.gather(requests.drain(), letters.drain())


async def _flush(relay: Relay) -> None:
    """Publish what is due, unless Pub/Sub is too slow for a process that has to stop; the next one sends the rest."""
    with suppress(TimeoutError):
        await asyncio.wait_for(relay.flush(), _FLUSH_SECONDS)


def _remake(pubsub: PubSub) -> MakeTopology | None:
    if not pubsub.is_emulator:
        return None

    async def remake() -> None:
        await make_topology(pubsub)

    return remake
