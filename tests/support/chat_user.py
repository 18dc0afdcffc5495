"""A user of chat as its HTTP face sees one: asks, reads the stream, wants feedback, waits for it. Blocking, for e2e tests."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.support.waiting import wait_until

ANSWER_SECONDS = 120.0
FEEDBACK_SECONDS = 240.0


class ChatUser:
    """Talks to chat at `url`; every call waits out a chat that is just restarting."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def new_conversation(self) -> str:
        return str(self._json("POST", "/v1/conversations", {})["id"])

    def ask(self, conversation_id: str, content: str) -> list[dict[str, Any]]:
        """Post a message, read its stream to the end, and return the events as `{event, id, data}`."""
        path = f"/v1/conversations/{conversation_id}/messages"
        with self._http.stream("POST", path, json={"content": content}) as response:
            if response.status_code != 200:
                response.read()
                raise AssertionError(f"{response.status_code}: {response.text}")
            return list(events(response))

    def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json("GET", f"/v1/conversations/{conversation_id}")["messages"]
        return found

    def want_feedback(self, conversation_id: str) -> str:
        return str(self._json("POST", f"/v1/conversations/{conversation_id}/feedback", {})["id"])

    def feedback(self, feedback_id: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/feedback/{feedback_id}")

    def wait_for_feedback(self, feedback_id: str, *, seconds: float = FEEDBACK_SECONDS) -> dict[str, Any]:
        """Return the feedback once it has an outcome."""

        def outcome() -> dict[str, Any] | None:
            try:
                feedback = self.feedback(feedback_id)
            except httpx.TransportError:
                return None
            return feedback if feedback["state"] not in ("pending", "queued") else None

        found = wait_until(f"feedback {feedback_id}", outcome, seconds=seconds)
        assert found is not None
        return found

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        response = self._http.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        answer: dict[str, Any] = response.json()
        return answer


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield a stream's events with their data parsed."""
    event: dict[str, Any] = {}
    for line in response.iter_lines():
        if not line:
            if "data" in event:
                yield event
            event = {}
            continue
        name, _, value = line.partition(":")
        if name:
            event[name] = json.loads(value) if name == "data" else value.strip()


def streamed_text(found: list[dict[str, Any]]) -> str:
    """Join the text of a stream's deltas."""
    return "".join(event["data"]["text"] for event in found if event["event"] == "delta")
