"""A stranger who publishes feedback requests knowing only the AsyncAPI document, and the topics for one test."""

import asyncio
import json
from uuid import uuid4

import pytest

from tandem_contracts.generate import asyncapi_document
from tandem_messaging.pubsub import connect
from tandem_messaging.topology import make_topology
from tests.support.pubsub_rest import Mailbox, PubSubOverRest

ASYNCAPI = asyncapi_document()
DEAD = "feedback-requests-dead"


def address_of(operation: str) -> str:
    """Find a topic as a reader of the AsyncAPI document does."""
    channel = ASYNCAPI["operations"][operation]["channel"]["$ref"].rsplit("/", 1)[-1]
    return str(ASYNCAPI["channels"][channel]["address"])


class Stranger:
    """Somebody who knows the AsyncAPI document and nothing else of Tandem."""

    def __init__(self, pubsub: PubSubOverRest) -> None:
        self._pubsub = pubsub
        self.results: Mailbox = pubsub.subscribe("stranger-results", address_of("receiveFeedback"))
        self.dead: Mailbox = pubsub.subscribe("stranger-dead", DEAD)

    def ask(self, request_id: str | None = None, *, times: int = 1, **attributes: str) -> str:
        request_id = request_id or f"stranger-{uuid4()}"
        request = {
            "request_id": request_id,
            "conversation_id": "conversation-1",
            "transcript": [
                {"role": "user", "content": "What is 2 + 2?"},
                {"role": "assistant", "content": "4."},
            ],
            "requested_at": "2026-01-02T12:00:00Z",
        }
        for _ in range(times):
            self.send(json.dumps(request).encode(), **attributes)
        return request_id

    def cancel(self, request_id: str) -> None:
        event = {
            "request_id": request_id,
            "conversation_id": "conversation-1",
            "requested_at": "2026-01-02T12:00:01Z",
        }
        self.send(json.dumps(event).encode(), ce_type="feedback.cancel_requested.v1")

    def send(self, data: bytes, **attributes: str) -> None:
        told = {"ce_type": "feedback.requested.v1", "content_type": "application/json", **attributes}
        self._pubsub.publish(address_of("askForFeedback"), data, **told)


def make_topics(host: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
    project = f"worker-{uuid4().hex[:8]}"

    async def make() -> None:
        async with connect(project) as pubsub:
            await make_topology(pubsub)

    asyncio.run(make())
    return project
