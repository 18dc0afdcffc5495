"""The in-memory twin passes the suite that real Pub/Sub passes in the integration tier."""

import pytest

from tandem_messaging.memory import InMemoryBroker
from tandem_messaging.ports import Subscriber
from tests.support.broker_suite import TOPIC, BrokerSuite, BrokerUnderTest


class TestInMemoryBroker(BrokerSuite):
    @pytest.fixture
    def broker(self) -> BrokerUnderTest:
        broker = InMemoryBroker()
        broker.create_topic(TOPIC)

        async def subscribe(name: str) -> Subscriber:
            broker.create_subscription(name, TOPIC)
            return broker.subscriber(name)

        return BrokerUnderTest(broker, subscribe, broker.subscriber("no-such-subscription"))
