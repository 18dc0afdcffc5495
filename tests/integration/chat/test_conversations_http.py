"""Conversations over HTTP: create, list, read, delete, on a running service."""

import asyncio

import pytest

from tests.support.chat_builders import eventually
from tests.support.chat_process import StubInference, WebApp


async def test_created_conversation_is_found_at_its_location(app_on_both: WebApp) -> None:
    response = await app_on_both.http.post("/v1/conversations", json={"title": "Travel plans"})

    assert response.status_code == 201
    found = await app_on_both.http.get(response.headers["Location"])
    assert found.status_code == 200
    assert found.json() == {**response.json(), "messages": []}
    assert (found.json()["title"], found.json()["message_count"]) == ("Travel plans", 0)


async def test_pages_list_every_conversation_once_the_latest_active_first(app_on_both: WebApp) -> None:
    made = [await app_on_both.new_conversation() for _ in range(7)]
    await app_on_both.ask(made[0], "back to the top")
    expected = [made[0], *reversed(made[1:])]

    listed: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await app_on_both.http.get("/v1/conversations", params=params)).json()
        assert len(page["items"]) <= 3
        listed += [item["id"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert listed[:7] == expected
    assert len(listed) == len(set(listed))


async def test_first_message_names_the_conversation(app: WebApp) -> None:
    conversation_id = await app.new_conversation()

    await app.ask(conversation_id, "How do whales sleep?\nAnd when?")

    assert (await app.read(conversation_id))["title"] == "How do whales sleep?"


async def test_deleted_conversation_is_gone_with_its_replies(app_on_both: WebApp) -> None:
    conversation_id = await app_on_both.new_conversation()
    reply = (await app_on_both.ask(conversation_id, "hello")).reply

    response = await app_on_both.http.delete(f"/v1/conversations/{conversation_id}")

    assert (response.status_code, response.content) == (204, b"")
    for path in (f"/v1/conversations/{conversation_id}", f"/v1/replies/{reply['id']}"):
        assert (await app_on_both.http.get(path)).status_code == 404
    assert (await app_on_both.http.delete(f"/v1/conversations/{conversation_id}")).status_code == 404


async def test_deleting_stops_a_reply_in_progress_and_ends_its_streams(
    app: WebApp, inference: StubInference
) -> None:
    inference.pace(token_delay_seconds=0.05)
    conversation_id = await app.new_conversation()
    question = "delete me " * 300
    reply_id = await app.begin(conversation_id, question)
    reader = asyncio.create_task(app.follow(reply_id))

    assert (await app.http.delete(f"/v1/conversations/{conversation_id}")).status_code == 204

    answer = await asyncio.wait_for(reader, 30)
    assert all(event.event != "end" for event in answer.events)
    asked = inference.asked(question)
    await eventually(lambda: asked.outcome == "disconnected", "the engine's request to end")
    assert (await app.http.get(f"/v1/replies/{reply_id}")).status_code == 404


async def test_text_of_any_script_comes_back_as_it_was_sent(app_on_both: WebApp) -> None:
    conversation_id = await app_on_both.new_conversation()
    content = "안녕하세요 🦊 \u2028 “quoted” \\n \t <b>bold</b> data: event: x\n\nsecond paragraph"

    answer = await app_on_both.ask(conversation_id, content)

    assert answer.text == f"You said: {' '.join(content.split())}"
    messages = (await app_on_both.read(conversation_id))["messages"]
    assert [message["content"] for message in messages] == [content, answer.text]


@pytest.mark.parametrize("path", ["/", "/styles/layout.css", "/scripts/main.js"])
async def test_web_page_is_served_without_being_allowed_to_load_from_elsewhere(
    app: WebApp, path: str
) -> None:
    response = await app.http.get(path)

    assert response.status_code == 200
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
