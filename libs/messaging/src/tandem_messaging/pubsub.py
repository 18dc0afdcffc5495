"""The broker ports on Google Cloud Pub/Sub, through the official package's asyncio clients and unary calls.

Streaming pull is not used: it hoards messages and recovers a killed worker's messages late.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, InvalidArgument, NotFound
from google.pubsub_v1 import PublisherAsyncClient, PubsubMessage, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from tandem_messaging.errors import BrokerUnavailableError, TopologyMissingError
from tandem_messaging.ports import OutgoingMessage, ReceivedMessage

CALL_TIMEOUT_SECONDS = 10.0
# Also the longest that a stopping consumer waits for its last Pull.
_PULL_TIMEOUT_SECONDS = 3.0
# A Pull reply over 4 MiB fails for good with grpc's default limit, and the message with it.
_MAX_REPLY_BYTES = 32 * 1024 * 1024
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_REPLY_BYTES),
    # An emulator or network that comes back must be found again within a second or two, not after grpc's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
_Result = TypeVar("_Result")


class PubSub:
    """Connections to one Pub/Sub project; make it inside the running event loop with `connect`."""

    def __init__(
        self,
        project: str,
        publisher: PublisherAsyncClient,
        subscriber: SubscriberAsyncClient,
        *,
        is_emulator: bool,
    ) -> None:
        self._project = project
        self.publisher_client = publisher
        self.subscriber_client = subscriber
        self.is_emulator = is_emulator

    def topic_path(self, name: str) -> str:
        """Return the full name of topic `name`."""
        return f"projects/{self._project}/topics/{name}"

    def subscription_path(self, name: str) -> str:
        """Return the full name of subscription `name`."""
        return f"projects/{self._project}/subscriptions/{name}"


@asynccontextmanager
async def connect(project: str) -> AsyncIterator[PubSub]:
    """Open clients for `project`: the emulator's where PUBSUB_EMULATOR_HOST is set, Google's otherwise.

    Does not touch the network yet: a broker that is down shows at the first call.
    """
    emulator_host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if emulator_host:
        # The asyncio clients do not read the variable themselves.
        async with grpc.aio.insecure_channel(emulator_host, options=_CHANNEL_OPTIONS) as channel:
            publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
            subscriber = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel))
            yield PubSub(project, publisher, subscriber, is_emulator=True)
        return
    publisher, subscriber = PublisherAsyncClient(), SubscriberAsyncClient()
    try:
        yield PubSub(project, publisher, subscriber, is_emulator=False)
    finally:
        await asyncio.gather(publisher.transport.close(), subscriber.transport.close())


class PubSubPublisher:
    """`ports.Publisher` on Pub/Sub. Retries are left to the caller, who keeps the message until this returns."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        request = {
            "topic": self._pubsub.topic_path(topic),
            "messages": [
                PubsubMessage(data=m.data, attributes=dict(m.attributes), ordering_key=m.ordering_key)
                for m in messages
            ],
        }
        await _answered(
            self._pubsub.publisher_client.publish(request=request, retry=None, timeout=CALL_TIMEOUT_SECONDS)
        )


class PubSubSubscriber:
    """`ports.Subscriber` on one Pub/Sub subscription."""

    def __init__(self, pubsub: PubSub, subscription: str) -> None:
        self._client = pubsub.subscriber_client
        self._path = pubsub.subscription_path(subscription)

    async def pull(self, max_messages: int) -> Sequence[ReceivedMessage]:
        call = self._client.pull(
            request={"subscription": self._path, "max_messages": max_messages},
            retry=None,
            timeout=_PULL_TIMEOUT_SECONDS,
        )
        try:
            response = await _answered(call)
        except _NoAnswerInTimeError:
            return ()  # how an empty subscription answers
        return [
            ReceivedMessage(
                data=received.message.data,
                attributes=dict(received.message.attributes),
                message_id=received.message.message_id,
                ack_id=received.ack_id,
                delivery_attempt=received.delivery_attempt,
            )
            for received in response.received_messages
        ]

    async def extend_lease(self, ack_ids: Sequence[str], lease_seconds: int) -> None:
        await self._modify(ack_ids, lease_seconds)

    async def release(self, ack_ids: Sequence[str]) -> None:
        await self._modify(ack_ids, 0)

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        if not ack_ids:  # Pub/Sub calls an empty list an error
            return
        request = {"subscription": self._path, "ack_ids": list(ack_ids)}
        await _ignoring_lapsed(
            self._client.acknowledge(request=request, retry=None, timeout=CALL_TIMEOUT_SECONDS)
        )

    async def _modify(self, ack_ids: Sequence[str], seconds: int) -> None:
        if not ack_ids:
            return
        request = {"subscription": self._path, "ack_ids": list(ack_ids), "ack_deadline_seconds": seconds}
        await _ignoring_lapsed(
            self._client.modify_ack_deadline(request=request, retry=None, timeout=CALL_TIMEOUT_SECONDS)
        )


class _NoAnswerInTimeError(BrokerUnavailableError):
    pass


async def _answered(call: Awaitable[_Result]) -> _Result:
    try:
        return await call
    except NotFound as error:
        raise TopologyMissingError(f"Pub/Sub: {error.message}") from error
    except DeadlineExceeded as error:
        raise _NoAnswerInTimeError(f"Pub/Sub: {error.message}") from error
    except GoogleAPICallError as error:
        raise BrokerUnavailableError(f"Pub/Sub: {error.message}") from error


async def _ignoring_lapsed(call: Awaitable[Any]) -> None:
    """Await `call`; with exactly-once delivery a lapsed ack id is an error, without it silence: both mean redelivery."""
    try:
        await call
    except InvalidArgument:
        return
    except NotFound as error:
        raise TopologyMissingError(f"Pub/Sub: {error.message}") from error
    except GoogleAPICallError as error:
        raise BrokerUnavailableError(f"Pub/Sub: {error.message}") from error
