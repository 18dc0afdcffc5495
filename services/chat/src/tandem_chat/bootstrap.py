"""Builds chat's use cases from its settings, and closes everything in reverse order."""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from tandem_chat.adapters.inference import InferenceGateway
from tandem_chat.adapters.persona_files import load_personas
from tandem_chat.adapters.sign_in.api_keys import ApiKeys
from tandem_chat.adapters.sign_in.oidc import OidcTokens
from tandem_chat.adapters.sql.feedback_rows import mark_queued
from tandem_chat.adapters.sql.store import SqlStore
from tandem_chat.adapters.sql.tables import outbox
from tandem_chat.application.answer_once import AnswerOnce
from tandem_chat.application.authenticate import Authenticate, TokenCheck
from tandem_chat.application.conversations import Conversations
from tandem_chat.application.follow_feedback import FollowFeedback
from tandem_chat.application.follow_reply import FollowReply
from tandem_chat.application.ports import Engine, Store
from tandem_chat.application.post_message import PostMessage
from tandem_chat.application.read_usage import ReadUsage
from tandem_chat.application.request_feedback import RequestFeedback
from tandem_chat.application.run_replies import ReplyLimits, ReplyRunner
from tandem_chat.application.sweep import Sweeper
from tandem_chat.domain.allowance import Limits
from tandem_chat.domain.persona import Personas, Sampling
from tandem_chat.settings import ChatSettings
from tandem_contracts import topics
from tandem_messaging.consumer import Consumer, MakeTopology, event_of
from tandem_messaging.database import Database
from tandem_messaging.ports import ReceivedMessage
from tandem_messaging.pubsub import PubSub, PubSubPublisher, PubSubSubscriber, connect
from tandem_messaging.relay import Relay
from tandem_messaging.tasks import BackgroundLoops
from tandem_messaging.topology import make_topology

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UseCases:
    """What the entrypoints may call on behalf of one owner."""

    conversations: Conversations
    post_message: PostMessage
    follow_reply: FollowReply
    request_feedback: RequestFeedback
    follow_feedback: FollowFeedback
    usage: ReadUsage
    answer_once: AnswerOnce


@dataclass(frozen=True)
class Chat:
    """The running service: what every caller shares, and `owned_by`, the use cases as one owner may use them."""

    engine: Engine
    store: Store
    personas: Personas
    authenticate: Authenticate
    owned_by: Callable[[str], UseCases]
    end_streams: Callable[[], Awaitable[None]]


@asynccontextmanager
async def bootstrap(settings: ChatSettings) -> AsyncIterator[Chat]:
    """Wire the service and run its background loops for as long as the context is open."""
    async with AsyncExitStack() as stack:
        personas = load_personas(settings.personas_file, default=Sampling(settings.temperature))
        database = Database(settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        token = settings.inference_token.get_secret_value() if settings.inference_token else None
        engine = InferenceGateway(str(settings.inference_url), settings.model, token)
        stack.push_async_callback(engine.close)
        pubsub = await stack.enter_async_context(connect(settings.pubsub_project))

        store = SqlStore(database)
        limits = ReplyLimits(
            settings.max_reply_tokens, wait_for_engine_seconds=settings.wait_for_engine_seconds
        )
        runner = ReplyRunner(store, engine, limits)
        follow_feedback = FollowFeedback(store)
        remake = _remake(pubsub)
        relay = Relay(
            database, outbox, PubSubPublisher(pubsub), on_published=mark_queued, make_topology=remake
        )
        consumer = Consumer(
            PubSubSubscriber(pubsub, topics.FEEDBACK_RESULTS_CHAT.name),
            follow_feedback.take_outcome,
            read=event_of,
            dead_letter=_report_unreadable,
            make_topology=remake,
        )
        sweeper = Sweeper(
            store,
            every_seconds=settings.sweep_every_seconds,
            reannounce_after_seconds=settings.reannounce_after_seconds,
            on_committed=relay.wake,
        )

        loops = BackgroundLoops()
        stack.push_async_callback(loops.close)
        loops.start("relay", relay.run)
        loops.start("results consumer", consumer.run)
        loops.start("sweeper", sweeper.run)
        stack.push_async_callback(consumer.drain)
        stack.push_async_callback(runner.close)

        async def end_streams() -> None:
            follow_feedback.close()
            await runner.close()

        owner_limits = _owner_limits(settings)
        open_answers: Counter[str] = Counter()

        def owned_by(owner: str) -> UseCases:
            own = store.owned_by(owner)
            return UseCases(
                conversations=Conversations(own, runner, personas),
                post_message=PostMessage(own, engine, runner, personas, owner=owner, limits=owner_limits),
                follow_reply=FollowReply(own, runner),
                request_feedback=RequestFeedback(
                    own,
                    reannounce_after=timedelta(seconds=settings.reannounce_after_seconds),
                    on_committed=relay.wake,
                ),
                follow_feedback=follow_feedback.owned_by(owner),
                usage=ReadUsage(own, owner, owner_limits),
                answer_once=AnswerOnce(
                    own,
                    engine,
                    owner,
                    owner_limits,
                    longest_answer_tokens=settings.max_reply_tokens,
                    open_answers=open_answers,
                ),
            )

        authenticate = Authenticate(_token_checks(settings, database, stack))
        yield Chat(engine, store, personas, authenticate, owned_by, end_streams)


def _owner_limits(settings: ChatSettings) -> Limits:
    if not settings.requires_sign_in:  # everybody is one owner: a limit would be of the whole service
        return Limits()
    return Limits(settings.replies_per_minute, settings.replies_at_once, settings.tokens_per_day)


def _token_checks(settings: ChatSettings, database: Database, stack: AsyncExitStack) -> list[TokenCheck]:
    checks: list[TokenCheck] = [ApiKeys(database)] if settings.api_keys else []
    if settings.oidc_issuer and settings.oidc_audience and settings.oidc_jwks_url:
        tokens = OidcTokens(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            jwks_url=str(settings.oidc_jwks_url),
        )
        stack.push_async_callback(tokens.close)
        checks.append(tokens)
    return checks


def _remake(pubsub: PubSub) -> MakeTopology | None:
    if not pubsub.is_emulator:
        return None

    async def remake() -> None:
        await make_topology(pubsub)

    return remake


async def _report_unreadable(message: ReceivedMessage, error: Exception) -> None:
    """An outcome that cannot be read is dropped: its request is announced again, and answered again."""
    logger.error("results.unreadable", extra={"message_id": message.message_id, "reason": str(error)})
