"""A dead letter is the message as it came, with why, where from and when, so that it can be mended and sent again."""

from datetime import datetime

import pytest

from tandem_contracts import topics
from tandem_contracts.envelope import UnreadableEventError
from tandem_feedback.adapters.dead_letters import DeadLetterSender
from tandem_messaging.errors import PermanentError, TopologyMissingError, TransientError
from tandem_messaging.memory import InMemoryBroker
from tandem_messaging.ports import ReceivedMessage

READER = topics.FEEDBACK_REQUESTS_DEAD_INSPECTION.name


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


def make_dead_topic(broker: InMemoryBroker) -> None:
    broker.create_topic(topics.FEEDBACK_REQUESTS_DEAD)
    broker.create_subscription(READER, topics.FEEDBACK_REQUESTS_DEAD)


def poison(**attributes: str) -> ReceivedMessage:
    return ReceivedMessage(b"\xff no json", attributes, "message-7", "ack-7", delivery_attempt=3)


async def test_letter_holds_the_message_and_the_reason(broker: InMemoryBroker) -> None:
    make_dead_topic(broker)
    message = poison(**{"ce-type": "feedback.requested.v1", "googclient_x": "set by Pub/Sub"})
    await DeadLetterSender(broker).send(message, UnreadableEventError("data: no JSON"))
    (letter,) = await broker.pull(READER, 10)
    assert letter.data == message.data
    found = dict(letter.attributes)
    assert datetime.fromisoformat(found.pop("tandem-dead-time")).tzinfo
    assert found == {
        "ce-type": "feedback.requested.v1",
        "tandem-dead-code": "unreadable",
        "tandem-dead-reason": "data: no JSON",
        "tandem-dead-attempts": "3",
        "tandem-dead-message-id": "message-7",
        "tandem-dead-subscription": "feedback-requests-worker",
    }


async def test_reason_is_cut_to_what_pubsub_takes_and_stays_text(broker: InMemoryBroker) -> None:
    make_dead_topic(broker)
    await DeadLetterSender(broker).send(poison(), PermanentError("설" * 1000))
    (letter,) = await broker.pull(READER, 10)
    reason = letter.attributes["tandem-dead-reason"]
    assert 1000 < len(reason.encode()) <= 1024
    assert set(reason) == {"설"}


async def test_sender_is_told_to_wait_when_the_topic_is_missing_and_finds_it_made(
    broker: InMemoryBroker,
) -> None:
    async def make() -> None:
        make_dead_topic(broker)

    letters = DeadLetterSender(broker, make)
    with pytest.raises(TransientError):
        await letters.send(poison(), PermanentError("bad"))
    await letters.send(poison(), PermanentError("bad"))
    assert len(await broker.pull(READER, 10)) == 1


async def test_missing_topic_is_told_when_nobody_may_make_it(broker: InMemoryBroker) -> None:
    with pytest.raises(TopologyMissingError):
        await DeadLetterSender(broker).send(poison(), PermanentError("bad"))
