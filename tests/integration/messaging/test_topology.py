"""Topics and subscriptions are made on the emulator alone, and a broker that is away is told as such."""

from uuid import uuid4

import pytest

from tandem_contracts import topics
from tandem_messaging.errors import BrokerUnavailableError, PermanentError
from tandem_messaging.pubsub import PubSub, PubSubPublisher, PubSubSubscriber, connect
from tandem_messaging.topology import make_topology
from tests.support.emulator import Emulator
from tests.support.eventually import eventually_awaited
from tests.support.feedback_builders import a_message
from tests.support.ports import free_port


async def test_topology_can_be_made_again_and_buries_what_is_refused_too_often(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    async with connect(f"topology-{uuid4().hex[:8]}") as pubsub:
        await make_topology(pubsub)
        await make_topology(pubsub)
        path = pubsub.subscription_path(topics.FEEDBACK_REQUESTS_WORKER.name)
        made = await pubsub.subscriber_client.get_subscription(request={"subscription": path})
        dead = pubsub.topic_path(topics.FEEDBACK_REQUESTS_DEAD)
    assert made.dead_letter_policy.dead_letter_topic == dead
    assert made.dead_letter_policy.max_delivery_attempts == 100


async def test_messages_come_back_soon_when_whoever_held_them_has_died(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    async with connect(f"topology-{uuid4().hex[:8]}") as pubsub:
        await make_topology(pubsub)
        messages = [a_message() for _ in range(24)]
        await PubSubPublisher(pubsub).publish(topics.FEEDBACK_REQUESTS, messages)
        subscriber = PubSubSubscriber(pubsub, topics.FEEDBACK_REQUESTS_WORKER.name)
        again: set[str] = set()

        async def held_and_left() -> bool:
            held = await subscriber.pull(len(messages))
            await subscriber.extend_lease([message.ack_id for message in held], 1)
            again.update(message.message_id for message in held if message.delivery_attempt > 2)
            return len(again) == len(messages)

        await eventually_awaited("each message has come back twice", held_and_left)


async def test_broker_that_is_away_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    async with connect("nowhere") as pubsub:
        with pytest.raises(BrokerUnavailableError):
            await PubSubPublisher(pubsub).publish(topics.FEEDBACK_REQUESTS, [a_message()])
        with pytest.raises(BrokerUnavailableError):
            await PubSubSubscriber(pubsub, topics.FEEDBACK_REQUESTS_WORKER.name).pull(1)
        with pytest.raises(BrokerUnavailableError):
            await make_topology(pubsub)


async def test_topology_is_left_to_terraform_when_there_is_no_emulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    async with connect("prod") as pubsub:
        real = PubSub("prod", pubsub.publisher_client, pubsub.subscriber_client, is_emulator=False)
        with pytest.raises(PermanentError, match="Terraform"):
            await make_topology(real)
