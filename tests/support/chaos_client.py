"""A requester as chat is one: publishes requests, reads results from chat's subscription, and writes down what it saw.

It knows Tandem by its events only, and dedupes nothing: the checker does.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx

from tests.support.chaos_history import History
from tests.support.pubsub_rest import PubSubOverRest

REQUESTS, RESULTS = "feedback-requests", "feedback-results-chat"
_AT_ONCE = 100


class ChaosClient:
    """Sends and listens until `close`. A broker that is away is waited for."""

    def __init__(self, pubsub: PubSubOverRest, history: History, name: str) -> None:
        self._pubsub, self.history, self._name = pubsub, history, name
        self._asked: dict[str, dict[str, Any]] = {}
        self._ended: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def body(self, number: int) -> dict[str, Any]:
        request_id = f"drill-{self._name}-{number}"
        return {
            "request_id": request_id,
            "conversation_id": f"conversation-{number % 7}",
            "transcript": [
                {"role": "user", "content": f"What is 2 + 2? ({request_id})"},
                {"role": "assistant", "content": "4."},
            ],
            "requested_at": "2026-01-02T12:00:00Z",
        }

    def publish(
        self,
        numbers: Iterable[int],
        *,
        times: int = 1,
        change: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> list[str]:
        """Publish these requests, each `times` times over, and return their ids once the broker has them all."""
        bodies = [change(self.body(number)) for number in numbers]
        for body in bodies:
            self._asked[body["request_id"]] = body
            self.history.append("sent", body["request_id"])
        for _ in range(times):
            self._send(bodies)
        for body in bodies:
            self.history.append("accepted", body["request_id"])
        return [body["request_id"] for body in bodies]

    def post(self, url: Callable[[], str], number: int, *, seconds: float = 60.0) -> str:
        """Ask over HTTP, again and again under the same id until somebody answers 202."""
        body = self.body(number)
        request_id = str(body["request_id"])
        self.history.append("sent", request_id)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                answer = httpx.post(f"{url()}/v1/feedback", json=body, timeout=10, trust_env=False)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == httpx.codes.ACCEPTED:
                self.history.append("accepted", request_id)
                break
            self.history.append("refused", request_id, status=answer.status_code)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(0.2)
        return request_id

    def publish_again(self) -> None:
        """Send what has no outcome yet once more, as chat's sweeper does when a broker has forgotten everything."""
        self._send([body for request_id, body in self._asked.items() if request_id not in self._ended])

    def open_requests(self, ids: Iterable[str]) -> set[str]:
        return set(ids) - self._ended

    def wait_for(
        self, ids: Sequence[str], *, seconds: float, meanwhile: Callable[[], None] | None = None
    ) -> bool:
        """Return whether all of `ids` have an outcome in time; `meanwhile` is called about once a second."""
        deadline = time.monotonic() + seconds
        next_call = time.monotonic() + 1.0
        while self.open_requests(ids):
            if time.monotonic() > deadline:
                return False
            if meanwhile is not None and time.monotonic() > next_call:
                meanwhile()
                next_call = time.monotonic() + 1.0
            time.sleep(0.02)
        return True

    def note_states(self, ids: Iterable[str], url: str) -> None:
        """Write down what the service itself says of these requests."""
        for request_id in ids:
            answer = httpx.get(f"{url}/v1/feedback/{request_id}", timeout=10, trust_env=False)
            self.history.append("state", request_id, state=answer.json().get("state"))

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=30)
        self.history.close()

    def _send(self, bodies: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(bodies), _AT_ONCE):
            messages = [
                {
                    "data": base64.b64encode(json.dumps(body).encode()).decode(),
                    "attributes": {"ce-type": "feedback.requested.v1", "content-type": "application/json"},
                }
                for body in bodies[start : start + _AT_ONCE]
            ]
            self._pubsub._call("POST", f"topics/{REQUESTS}:publish", {"messages": messages})

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                if not self._take_some():
                    self._closing.wait(0.05)
            except OSError:  # away, or without topics until a worker makes them
                self._closing.wait(0.2)

    def _take_some(self) -> bool:
        """Write down what has come, and only then acknowledge it."""
        wanted = {"maxMessages": _AT_ONCE, "returnImmediately": True}
        received = self._pubsub._call("POST", f"subscriptions/{RESULTS}:pull", wanted).get(
            "receivedMessages", []
        )
        for one in received:
            data = base64.b64decode(one["message"]["data"])
            event = json.loads(data)
            self.history.append(
                "outcome",
                event["request_id"],
                digest=hashlib.sha256(data).hexdigest(),
                type=one["message"]["attributes"].get("ce-type", ""),
                code=event.get("code"),
                detail=event.get("detail"),
            )
            self._ended.add(event["request_id"])
        if received:
            ack_ids = [one["ackId"] for one in received]
            self._pubsub._call("POST", f"subscriptions/{RESULTS}:acknowledge", {"ackIds": ack_ids})
        return bool(received)
