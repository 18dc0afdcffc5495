"""Signed in with API keys: each owner has a chat of their own, and nobody else's exists there."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.chat_process import ChatProcess, StubInference, new_token

NOBODY = {"Authorization": "Bearer tandem_000000000000_wrong"}


def keys(chat: ChatProcess, *words: str) -> str:
    code, said = chat.run("keys", *words)
    assert code == 0, said
    return said


@pytest.fixture(scope="module")
def chat(running_inference: StubInference, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatProcess]:
    folder: Path = tmp_path_factory.mktemp("chat-with-owners")
    database_url = f"sqlite+aiosqlite:///{folder / 'chat.db'}"
    process = ChatProcess(
        folder,
        database_url=database_url,
        inference_url=running_inference.url,
    )
    process.migrate()
    process.start(TANDEM_CHAT_API_KEYS="true")
    yield process
    process.stop()


def signed_in(chat: ChatProcess, owner: str) -> httpx.Client:
    token = new_token(chat, "--owner", owner)
    return httpx.Client(
        base_url=chat.url, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
    )


@pytest.fixture(scope="module")
def ada(chat: ChatProcess) -> Iterator[httpx.Client]:
    with signed_in(chat, "ada") as client:
        yield client


@pytest.fixture(scope="module")
def bob(chat: ChatProcess) -> Iterator[httpx.Client]:
    with signed_in(chat, "bob") as client:
        yield client


@pytest.fixture(scope="module")
def adas(ada: httpx.Client) -> dict[str, str]:
    """Ids of one thing of each kind that belongs to Ada."""
    conversation = ada.post("/v1/conversations", json={}).json()["id"]
    ada.post(f"/v1/conversations/{conversation}/messages", json={"content": "Hello?"}).raise_for_status()
    reply = ada.get(f"/v1/conversations/{conversation}").json()["messages"][-1]["id"]
    feedback = ada.post(f"/v1/conversations/{conversation}/feedback", json={}).json()["id"]
    return {"conversation_id": conversation, "message_id": reply, "feedback_id": feedback}


def operations(client: httpx.Client) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1")
    ]


def call(
    client: httpx.Client, method: str, path: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    body = {"content": "Hello?"} if path.endswith("/messages") else {}
    return client.request(
        method, path, json=body if method in {"POST", "PATCH", "PUT"} else None, headers=headers
    )


def test_no_route_for_users_answers_without_a_key(chat: ChatProcess, adas: dict[str, str]) -> None:
    with httpx.Client(base_url=chat.url, trust_env=False) as stranger:
        for method, path in operations(stranger):
            for headers in ({}, NOBODY, {"Authorization": "Basic YTpi"}):
                answer = call(stranger, method, path.format(**adas), headers)
                assert answer.status_code == 401, f"{method} {path}"
                told = answer.json()
                assert told.get("error", told)["code"] == "unauthenticated"  # inside, in OpenAI's shape
                assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert stranger.get("/health").status_code == 200
        assert stranger.get("/ready").status_code == 200
        assert stranger.get("/").status_code == 200


def test_things_of_another_owner_do_not_exist_on_any_route(
    ada: httpx.Client, bob: httpx.Client, adas: dict[str, str]
) -> None:
    before = ada.get(f"/v1/conversations/{adas['conversation_id']}").json()
    named = [(method, path) for method, path in operations(ada) if "{" in path]
    assert len(named) >= 10
    for method, path in named:
        answer = call(bob, method, path.format(**adas))
        assert answer.status_code == 404, f"{method} {path}: {answer.text[:200]}"
    assert bob.get("/v1/conversations").json()["items"] == []
    assert ada.get(f"/v1/conversations/{adas['conversation_id']}").json() == before


def test_two_keys_of_one_owner_open_the_same_conversations(
    chat: ChatProcess, ada: httpx.Client, adas: dict[str, str]
) -> None:
    with signed_in(chat, "ada") as other_device:
        listed = other_device.get("/v1/conversations").json()["items"]
    assert adas["conversation_id"] in {item["id"] for item in listed}


def test_revoked_key_opens_nothing_from_that_moment(chat: ChatProcess) -> None:
    token = new_token(chat, "--owner", "eve", "--label", "lost phone")
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=chat.url, headers=headers, trust_env=False) as eve:
        assert eve.get("/v1/conversations").status_code == 200
        key_id = token.split("_")[1]
        keys(chat, "revoke", key_id)
        refused = eve.get("/v1/conversations")
    assert (refused.status_code, "revoked" in refused.json()["detail"]) == (401, True)
    listed = keys(chat, "list", "--owner", "eve")
    assert "revoked" in listed
    assert "lost phone" in listed
    assert token.split("_", 2)[2] not in listed


def test_expired_key_opens_nothing(chat: ChatProcess) -> None:
    token = new_token(chat, "--owner", "eve", "--days", "0.0000001")
    refused = httpx.get(
        f"{chat.url}/v1/conversations", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )
    assert (refused.status_code, "expired" in refused.json()["detail"]) == (401, True)
