"""Pub/Sub as a stranger without our libraries uses it: plain REST against the emulator."""

import base64
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Letter:
    data: bytes
    attributes: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class PubSubOverRest:
    def __init__(self, host: str, project: str) -> None:
        self._root = f"http://{host}/v1/projects/{project}"

    def publish(self, topic: str, data: bytes, **attributes: str) -> None:
        """Publish one message; underscores in the names of attributes stand for hyphens."""
        named = {name.replace("_", "-"): text for name, text in attributes.items()}
        message = {"data": base64.b64encode(data).decode(), "attributes": named}
        self._call("POST", f"topics/{topic}:publish", {"messages": [message]})

    def subscribe(self, name: str, topic: str) -> "Mailbox":
        full_topic = f"{self._root.split('/v1/')[1]}/topics/{topic}"
        self._call("PUT", f"subscriptions/{name}", {"topic": full_topic, "ackDeadlineSeconds": 60})
        return Mailbox(self, name)

    def take(self, subscription: str) -> list[Letter]:
        """Pull and acknowledge what is there now."""
        pulled = self._call(
            "POST", f"subscriptions/{subscription}:pull", {"maxMessages": 100, "returnImmediately": True}
        )
        received = pulled.get("receivedMessages", [])
        if received:
            self._call(
                "POST",
                f"subscriptions/{subscription}:acknowledge",
                {"ackIds": [one["ackId"] for one in received]},
            )
        return [
            Letter(base64.b64decode(one["message"].get("data", "")), one["message"].get("attributes", {}))
            for one in received
        ]

    def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self._root}/{path}",
            method=method,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


class Mailbox:
    """A subscription of the test's own; keeps all that ever came in `letters`."""

    def __init__(self, pubsub: PubSubOverRest, subscription: str) -> None:
        self._pubsub, self._subscription = pubsub, subscription
        self.letters: list[Letter] = []

    def look(self) -> list[Letter]:
        self.letters.extend(self._pubsub.take(self._subscription))
        return self.letters

    def about(self, request_id: str) -> list[Letter]:
        return [letter for letter in self.letters if letter.json.get("request_id") == request_id]

    def wait_for(self, *request_ids: str, seconds: float = 30.0) -> None:
        def all_there() -> bool:
            self.look()
            return all(self.about(request_id) for request_id in request_ids)

        wait_until(f"an outcome of each of {len(request_ids)} requests", all_there, seconds=seconds)
