"""Chat killed or stopped while it answers: no text is lost, and the reply can be written again."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chat_builders import eventually
from tests.support.chat_process import ChatProcess, StubInference, WebApp, web_app

QUESTION = " ".join(f"w{n}" for n in range(500))


@pytest.fixture(scope="module")
def database_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose folder is still to be made."""
    return tmp_path_factory.mktemp("chat-restarted") / "not" / "yet" / "chat.db"


@pytest.fixture(scope="module")
def chat(database_file: Path, running_inference: StubInference) -> Iterator[ChatProcess]:
    """A chat of this module's own, which a test may kill if it starts it again."""
    running = ChatProcess(
        database_file.parents[2],
        database_url=f"sqlite+aiosqlite:///{database_file}",
        inference_url=running_inference.url,
    )
    running.migrate()
    running.start()
    yield running
    running.stop()


async def _begin_and_save_some(chat: ChatProcess, inference: StubInference) -> tuple[str, str, str]:
    """Return conversation, reply and the text that is stored while the reply goes on."""
    inference.pace(token_delay_seconds=0.02)
    async with web_app(chat) as app:
        conversation_id = await app.new_conversation()
        reply_id = await app.begin(conversation_id, QUESTION)
        saved = await app.until_stored(reply_id)
    return conversation_id, reply_id, saved


async def _retried(chat: ChatProcess, inference: StubInference, reply_id: str) -> str:
    inference.pace()
    async with web_app(chat) as app:
        response = await app.http.post(f"/v1/replies/{reply_id}/retry")
        assert response.status_code == 200, response.text
        ended = await app.until_ended(reply_id)
    assert ended["state"] == "completed"
    return str(ended["content"])


def _let_the_lease_lapse(database_file: Path) -> None:
    """Spare the test the quarter of a minute after which a silent writer is taken for dead."""
    with sqlite3.connect(database_file, timeout=10) as connection:
        connection.execute("UPDATE messages SET leased_until = '2026-01-01 00:00:00.000000'")


async def test_killed_chat_keeps_the_text_and_ends_the_reply_as_interrupted(
    chat: ChatProcess, inference: StubInference, database_file: Path
) -> None:
    conversation_id, reply_id, saved = await _begin_and_save_some(chat, inference)
    asked = inference.asked(QUESTION)

    chat.kill()
    await eventually(lambda: asked.outcome == "disconnected", "the engine to be free")
    chat.start()

    async with web_app(chat) as app:
        assert (await app.reply(reply_id))["state"] == "running"
        refused = await app.http.post(
            f"/v1/conversations/{conversation_id}/messages", json={"content": "too early"}
        )
        assert refused.json()["code"] == "reply_in_progress"
        _let_the_lease_lapse(database_file)
        followed = await app.follow(reply_id)

    assert (followed.reply["state"], followed.reply["error"]["code"]) == ("interrupted", "chat_restarted")
    assert followed.text == followed.reply["content"]
    assert followed.text.startswith(saved)
    assert await _retried(chat, inference, reply_id) == f"You said: {QUESTION}"


async def test_stopped_chat_exits_with_0_and_interrupts_the_reply_with_all_its_text(
    chat: ChatProcess, inference: StubInference
) -> None:
    _, reply_id, saved = await _begin_and_save_some(chat, inference)
    asked = inference.asked(QUESTION)
    async with web_app(chat) as app:
        reader = asyncio.create_task(app.follow(reply_id))
        feedback_reader = await _follow_open_feedback(app)

        assert await asyncio.to_thread(chat.terminate) == 0

        shown = (await reader).reply
        await feedback_reader
    await eventually(lambda: asked.outcome == "disconnected", "the engine to be free")
    assert "Traceback" not in chat.log()
    chat.start()
    async with web_app(chat) as app:
        ended = await app.reply(reply_id)
    assert ended == shown
    assert (ended["state"], ended["error"]["code"]) == ("interrupted", "chat_restarted")
    assert ended["content"].startswith(saved)
    assert f"You said: {QUESTION}".startswith(ended["content"])
    assert await _retried(chat, inference, reply_id) == f"You said: {QUESTION}"


async def _follow_open_feedback(app: WebApp) -> asyncio.Task[bytes]:
    """Follow a feedback whose request cannot leave: there is no broker."""
    conversation_id = await app.new_conversation()
    await app.ask(conversation_id, "short")
    response = await app.http.post(f"/v1/conversations/{conversation_id}/feedback")
    assert response.status_code == 202
    begun = asyncio.Event()

    async def read() -> bytes:
        async with app.http.stream("GET", f"{response.headers['Location']}/events") as stream:
            begun.set()
            return await stream.aread()

    reader = asyncio.create_task(read())
    await begun.wait()
    return reader


def test_taken_port_is_told_and_fails(chat_on_sqlite: ChatProcess) -> None:
    code, said = chat_on_sqlite.run("serve")

    assert code != 0
    assert "address already in use" in said
