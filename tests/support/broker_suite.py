"""What every broker behind the messaging ports must do; the in-memory twin and real Pub/Sub pass the same tests.

A test class inherits `BrokerSuite` and provides the fixture `broker`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count

import pytest

from tandem_messaging.errors import TopologyMissingError
from tandem_messaging.ports import OutgoingMessage, Publisher, ReceivedMessage, Subscriber

TOPIC = "letters"
_numbers = count(1)


@dataclass(frozen=True)
class BrokerUnderTest:
    """A broker with the topic `letters`; subscriptions are made by the test."""

    publisher: Publisher
    subscribe: Callable[[str], Awaitable[Subscriber]]
    subscriber_of_missing: Subscriber


def letter(text: str) -> OutgoingMessage:
    return OutgoingMessage(text.encode(), {"ce-type": "letter"})


async def pull_all(subscriber: Subscriber, expected: int, *, seconds: float = 20.0) -> list[ReceivedMessage]:
    """Pull until `expected` messages have come: one Pull may bring fewer although more are there."""
    received: list[ReceivedMessage] = []
    deadline = time.monotonic() + seconds
    while len(received) < expected and time.monotonic() < deadline:
        received.extend(await subscriber.pull(expected - len(received)))
    assert len(received) == expected, f"wanted {expected} messages, got {len(received)} in {seconds} s"
    return received


async def pull_while(subscriber: Subscriber, seconds: float) -> Sequence[ReceivedMessage]:
    """Pull for at least `seconds`, returning early with what came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if received := await subscriber.pull(10):
            return received
    return ()


class BrokerSuite:
    @pytest.fixture
    async def subscriber(self, broker: BrokerUnderTest) -> Subscriber:
        return await broker.subscribe(f"reader-{next(_numbers)}")

    async def test_message_arrives_whole_when_published(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        await broker.publisher.publish(TOPIC, [OutgoingMessage(b"\x00\xffdata", {"a": "b", "c": "ü"}, "key")])
        (received,) = await pull_all(subscriber, 1)
        assert (received.data, dict(received.attributes)) == (b"\x00\xffdata", {"a": "b", "c": "ü"})
        assert received.message_id
        assert received.ack_id

    async def test_every_subscription_gets_its_copy_when_there_are_two(self, broker: BrokerUnderTest) -> None:
        one, two = [await broker.subscribe(f"reader-{next(_numbers)}") for _ in range(2)]
        await broker.publisher.publish(TOPIC, [letter("for both")])
        assert [m.data for m in await pull_all(one, 1)] == [b"for both"]
        assert [m.data for m in await pull_all(two, 1)] == [b"for both"]

    async def test_pull_brings_no_more_than_asked_for(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        await broker.publisher.publish(TOPIC, [letter(str(n)) for n in range(5)])
        first = await pull_all(subscriber, 2)
        rest = await pull_all(subscriber, 3)
        assert {m.data for m in [*first, *rest]} == {b"0", b"1", b"2", b"3", b"4"}
        assert len(await subscriber.pull(1)) <= 1

    async def test_empty_subscription_answers_with_nothing(self, subscriber: Subscriber) -> None:
        assert list(await subscriber.pull(3)) == []

    async def test_pull_wakes_up_when_a_message_arrives_meanwhile(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        waiting = asyncio.create_task(pull_all(subscriber, 1))
        await asyncio.sleep(0)
        await broker.publisher.publish(TOPIC, [letter("late")])
        assert [m.data for m in await waiting] == [b"late"]

    async def test_message_is_gone_when_acknowledged(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        await broker.publisher.publish(TOPIC, [letter("once")])
        (received,) = await pull_all(subscriber, 1)
        await subscriber.extend_lease([received.ack_id], 1)
        await subscriber.acknowledge([received.ack_id])
        assert list(await pull_while(subscriber, 1.3)) == []

    async def test_message_comes_back_at_once_when_released(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        await broker.publisher.publish(TOPIC, [letter("again")])
        (first,) = await pull_all(subscriber, 1)
        await subscriber.release([first.ack_id])
        (second,) = await pull_all(subscriber, 1, seconds=5)
        assert (second.data, second.message_id) == (b"again", first.message_id)

    async def test_message_comes_back_when_its_lease_runs_out(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        await broker.publisher.publish(TOPIC, [letter("forgotten")])
        (first,) = await pull_all(subscriber, 1)
        await subscriber.extend_lease([first.ack_id], 1)
        (second,) = await pull_all(subscriber, 1, seconds=8)
        assert second.message_id == first.message_id

    async def test_message_stays_held_when_its_lease_is_extended(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        await broker.publisher.publish(TOPIC, [letter("kept")])
        (received,) = await pull_all(subscriber, 1)
        await subscriber.extend_lease([received.ack_id], 1)
        await subscriber.extend_lease([received.ack_id], 30)
        assert list(await pull_while(subscriber, 1.3)) == []

    async def test_late_acknowledgement_is_silent_and_the_message_still_comes_back(
        self, broker: BrokerUnderTest, subscriber: Subscriber
    ) -> None:
        await broker.publisher.publish(TOPIC, [letter("late")])
        (first,) = await pull_all(subscriber, 1)
        await subscriber.release([first.ack_id])
        (second,) = await pull_all(subscriber, 1, seconds=5)
        await subscriber.acknowledge([first.ack_id])
        await subscriber.release([second.ack_id])
        (third,) = await pull_all(subscriber, 1, seconds=5)
        assert third.message_id == first.message_id

    async def test_nothing_happens_when_no_delivery_is_named(self, subscriber: Subscriber) -> None:
        await subscriber.acknowledge([])
        await subscriber.release([])
        await subscriber.extend_lease([], 10)

    async def test_missing_topic_is_told_as_such(self, broker: BrokerUnderTest) -> None:
        with pytest.raises(TopologyMissingError):
            await broker.publisher.publish("no-such-topic", [letter("lost")])

    async def test_missing_subscription_is_told_as_such(self, broker: BrokerUnderTest) -> None:
        missing = broker.subscriber_of_missing
        with pytest.raises(TopologyMissingError):
            await missing.pull(1)
        with pytest.raises(TopologyMissingError):
            await missing.acknowledge(["1"])
        with pytest.raises(TopologyMissingError):
            await missing.extend_lease(["1"], 10)
