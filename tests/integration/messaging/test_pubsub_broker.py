"""Real Pub/Sub, as far as the emulator is real, passes the suite of its in-memory twin."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tandem_messaging.ports import Subscriber
from tandem_messaging.pubsub import PubSubPublisher, PubSubSubscriber, connect
from tests.support.broker_suite import TOPIC, BrokerSuite, BrokerUnderTest
from tests.support.emulator import Emulator


class TestPubSub(BrokerSuite):
    @pytest.fixture
    async def broker(
        self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[BrokerUnderTest]:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
        monkeypatch.setattr("tandem_messaging.pubsub._PULL_TIMEOUT_SECONDS", 1.0)
        async with connect(f"suite-{uuid4().hex[:8]}") as pubsub:
            await pubsub.publisher_client.create_topic(request={"name": pubsub.topic_path(TOPIC)})

            async def subscribe(name: str) -> Subscriber:
                request = {
                    "name": pubsub.subscription_path(name),
                    "topic": pubsub.topic_path(TOPIC),
                    "ack_deadline_seconds": 10,
                }
                await pubsub.subscriber_client.create_subscription(request=request)
                return PubSubSubscriber(pubsub, name)

            missing = PubSubSubscriber(pubsub, "no-such-subscription")
            yield BrokerUnderTest(PubSubPublisher(pubsub), subscribe, missing)
