"""The state and the settable behaviour of a chat service in memory, for tests of the web page.

It stands in where a test needs a special moment (an engine that starts, a connection that breaks). It keeps nothing,
checks little, and never talks to a model; stub_chat_app.py puts HTTP around it.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

FINAL_REPLY_STATES = {"completed", "stopped", "interrupted", "failed"}
FINAL_FEEDBACK_STATES = {"completed", "failed", "cancelled"}
EXAMPLE_RESULT: Json = {
    "score": 4,
    "summary": "Clear and correct, though a little short.",
    "strengths": ["Answers the question first", "Plain words"],
    "improvements": ["Give an example"],
    "rubric": {"id": "conversation-quality", "version": "1"},
    "model": "smollm2-135m-instruct",
}


class StubProblem(Exception):  # noqa: N818 - named after the problem document that it becomes.
    def __init__(self, status: int, code: str, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors = [{"field": field, "message": detail}] if field else []


class StubChat:
    """Attributes are the behaviour: set them before, or while, the page is in use."""

    def __init__(self) -> None:
        self.url = ""
        self.engine_ready = True
        self.key: str | None = None
        """The key that every call must carry, where one is set."""
        self.answer: str | None = None
        """What every reply says; without it, a sentence about the question."""
        self.piece_length = 4
        self.piece_interval_s = 0.005
        self.hold_at: int | None = None
        """Replies pause once they have this many code points, until `release`."""
        self.cut_streams_at: list[int] = []
        """Positions at which an event stream breaks off, each once."""
        self.repeated_length = 0
        """So many code points before the asked position are sent once more on joining a reply."""
        self.reply_outcome = "completed"
        self.refusal: StubProblem | None = None
        """Answers the next message, once."""
        self.lose_next_acceptance = False
        """The next message is stored, but its stream ends before saying so."""
        self.hold_acceptance = False
        """The next message is answered only after `release`."""
        self.feedback_moves_by_itself = True
        self.conversations: dict[str, Json] = {}
        self.feedbacks: dict[str, Json] = {}
        self.stream_count = 0
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()
        self._released = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # What a test does behind the page's back.

    def release(self, *, until: int | None = None) -> None:
        self.hold_at = until
        self.hold_acceptance = False
        self._released.set()

    def add_conversation(self, *exchanges: tuple[str, str]) -> str:
        conversation = self.create_conversation()
        for question, answer in exchanges:
            self._add_message(conversation, "user", question, "completed")
            self._add_message(conversation, "assistant", answer, "completed")
        return str(conversation["id"])

    def add_feedback(self, conversation_id: str, state: str = "pending", **facts: Any) -> Json:
        feedback = {
            "id": f"feedback-{next(self._ids)}",
            "conversation_id": conversation_id,
            "state": "pending",
            "requested_at": _now(),
            "finished_at": None,
            "result": None,
            "error": None,
        }
        self.feedbacks[str(feedback["id"])] = feedback
        self.move_feedback(feedback, state, **facts)
        return feedback

    def move_feedback(self, feedback: Json, state: str, **facts: Any) -> None:
        feedback.update(state=state, **facts)
        if state in FINAL_FEEDBACK_STATES:
            feedback["finished_at"] = _now()
        if state == "completed" and not feedback["result"]:
            feedback["result"] = EXAMPLE_RESULT
        self._announce_change()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the API does.

    def create_conversation(self) -> Json:
        now = _now()
        conversation: Json = {
            "id": f"conversation-{next(self._ids)}",
            "title": "",
            "created_at": now,
            "updated_at": now,
            "messages": [],
        }
        self.conversations[conversation["id"]] = conversation
        return conversation

    def find_conversation(self, conversation_id: str) -> Json:
        if conversation_id not in self.conversations:
            raise StubProblem(404, "conversation_not_found", "There is no such conversation.")
        return self.conversations[conversation_id]

    def find_reply(self, reply_id: str) -> tuple[Json, Json]:
        for conversation in self.conversations.values():
            for message in conversation["messages"]:
                if message["id"] == reply_id:
                    return conversation, message
        raise StubProblem(404, "reply_not_found", "There is no such reply.")

    async def wait_to_accept(self) -> None:
        if self.hold_acceptance:
            self._released.clear()
            await self._released.wait()

    def accept_message(self, conversation: Json, content: str) -> Json:
        refusal, self.refusal = self.refusal, None
        if refusal:
            raise refusal
        if not self.engine_ready:
            raise StubProblem(503, "engine_not_ready", "The engine is loading its model.")
        if any(message["state"] in {"queued", "running"} for message in conversation["messages"]):
            raise StubProblem(409, "reply_in_progress", "A reply is still being written.")
        conversation["title"] = conversation["title"] or content[:60]
        self._add_message(conversation, "user", content, "completed")
        reply = self._add_message(conversation, "assistant", "", "queued")
        self._start(self._write(reply, self.answer or about(content)))
        return reply

    def retry(self, conversation: Json, reply: Json) -> None:
        if reply["state"] not in FINAL_REPLY_STATES - {"completed"}:
            raise StubProblem(409, "reply_not_retryable", "Only an unfinished reply can be tried again.")
        reply.update(state="queued", content="", error=None)
        asked = next(message for message in reversed(conversation["messages"]) if message["role"] == "user")
        self._start(self._write(reply, self.answer or about(asked["content"])))

    def stop(self, reply: Json) -> None:
        if reply["state"] not in FINAL_REPLY_STATES:
            reply["state"] = "stopped"
        self.release()
        self._announce_change()

    async def reply_progress(self, reply: Json, position: int) -> AsyncIterator[tuple[str, int]]:
        """Yields `(text, position after it)` until the reply has ended or the stream is to break."""
        self.stream_count += 1
        position = max(position - self.repeated_length, 0)
        while True:
            changed = self._changed
            text = reply["content"][position:]
            cut = next((cut for cut in self.cut_streams_at if position < cut <= position + len(text)), None)
            if cut is not None:
                self.cut_streams_at.remove(cut)
                yield text[: cut - position], cut
                return
            if text:
                position += len(text)
                yield text, position
            if reply["state"] in FINAL_REPLY_STATES:
                return
            await changed.wait()

    def request_feedback(self, conversation_id: str) -> Json:
        feedback = self.add_feedback(conversation_id)
        if self.feedback_moves_by_itself:
            self._start(self._review(feedback))
        return feedback

    async def feedback_progress(self, feedback: Json) -> AsyncIterator[Json]:
        shown = None
        while shown not in FINAL_FEEDBACK_STATES:
            changed = self._changed
            if feedback["state"] != shown:
                shown = feedback["state"]
                yield feedback
            else:
                await changed.wait()

    def _add_message(self, conversation: Json, role: str, content: str, state: str) -> Json:
        message: Json = {
            "id": f"message-{next(self._ids)}",
            "role": role,
            "content": content,
            "state": state,
            "created_at": _now(),
        }
        conversation["messages"].append(message)
        conversation["updated_at"] = message["created_at"]
        conversation["title"] = conversation["title"] or content[:60]
        return message

    async def _write(self, reply: Json, text: str) -> None:
        for start in range(0, len(text), self.piece_length):
            if self.hold_at is not None and start >= self.hold_at:
                self._released.clear()
                await self._released.wait()
            await asyncio.sleep(self.piece_interval_s)
            if reply["state"] in FINAL_REPLY_STATES:
                return
            reply["state"] = "running"
            reply["content"] += text[start : start + self.piece_length]
            self._announce_change()
        reply["state"] = self.reply_outcome
        if self.reply_outcome != "completed":
            reply["error"] = {"code": "engine_lost", "detail": "The engine went away while answering."}
        self._announce_change()

    async def _review(self, feedback: Json) -> None:
        for state in ("queued", "completed"):
            await asyncio.sleep(0.05)
            self.move_feedback(feedback, state)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _announce_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def about(question: str) -> str:
    return f"You asked: {question}. Here is the answer."


def _now() -> str:
    return datetime.now(UTC).isoformat()
