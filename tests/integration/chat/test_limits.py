"""Each owner has limits of their own, counts that nothing gives back, and can read them; on both databases."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.chat_process import ChatProcess, StubInference, new_token
from tests.support.waiting import wait_until

DATABASES = ["sqlite", "postgres"]


@pytest.fixture(scope="module", params=DATABASES)
def chat(
    request: pytest.FixtureRequest,
    running_inference: StubInference,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ChatProcess]:
    folder: Path = tmp_path_factory.mktemp("chat-with-limits")
    database_url = f"sqlite+aiosqlite:///{folder / 'chat.db'}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        database_url = server.url(server.create_database())
    process = ChatProcess(folder, database_url=database_url, inference_url=running_inference.url)
    process.migrate()
    process.start(
        TANDEM_CHAT_API_KEYS="true",
        TANDEM_CHAT_REPLIES_PER_MINUTE="3",
        TANDEM_CHAT_REPLIES_AT_ONCE="1",
        TANDEM_CHAT_TOKENS_PER_DAY="60",
    )
    yield process
    process.stop()


class Caller:
    """Somebody with a key; `ask` posts to a new conversation each time."""

    def __init__(self, chat: ChatProcess, owner: str) -> None:
        headers = {"Authorization": f"Bearer {new_token(chat, '--owner', owner)}"}
        self.http = httpx.Client(base_url=chat.url, headers=headers, timeout=30, trust_env=False)

    def conversation(self) -> str:
        return str(self.http.post("/v1/conversations", json={}).raise_for_status().json()["id"])

    def ask(self, content: str = "Hello?", conversation: str | None = None) -> httpx.Response:
        path = f"/v1/conversations/{conversation or self.conversation()}/messages"
        return self.http.post(path, json={"content": content})

    def today(self) -> dict[str, int]:
        days = self.http.get("/v1/usage").raise_for_status().json()["days"]
        return dict(days[0]) if days else {}


def test_minute_fills_up_for_one_owner_alone_and_deleting_gives_nothing_back(
    chat: ChatProcess, inference: StubInference
) -> None:
    ada, bob = Caller(chat, "ada"), Caller(chat, "bob")
    left = []
    for _ in range(3):
        answer = ada.ask("Hi")
        assert answer.status_code == 200
        left.append(answer.headers["RateLimit"].split(";")[1])
        assert answer.headers["RateLimit-Policy"] == '"replies";q=3;w=60'
    assert left == ["r=2", "r=1", "r=0"]
    for conversation in ada.http.get("/v1/conversations").json()["items"]:
        ada.http.delete(f"/v1/conversations/{conversation['id']}").raise_for_status()
    refused = ada.ask("Hi")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"] == f'"replies";r=0;t={refused.headers["Retry-After"]}'
    assert bob.ask("Hi").status_code == 200


def test_used_tokens_are_told_and_end_with_the_days_last(chat: ChatProcess, inference: StubInference) -> None:
    eve = Caller(chat, "eve")
    assert eve.today() == {}
    assert eve.ask("one two three").status_code == 200
    wait_until("the reply is counted", lambda: eve.today().get("replies") == 1)
    today = eve.today()
    assert today["prompt_tokens"] == 3
    assert today["completion_tokens"] == 5  # You said: one two three
    assert today["total_tokens"] == 8
    assert eve.ask("word " * 60).status_code == 200
    wait_until("the reply is counted", lambda: eve.today().get("replies") == 2)
    refused = eve.ask("one more")
    assert (refused.status_code, refused.json()["code"]) == (429, "daily_tokens_used")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400


def test_stopped_reply_frees_its_place_and_its_tokens_are_counted(
    chat: ChatProcess, inference: StubInference
) -> None:
    dan = Caller(chat, "dan")
    inference.pace(token_delay_seconds=0.3)
    conversation = dan.conversation()
    path = f"/v1/conversations/{conversation}/messages"
    with dan.http.stream("POST", path, json={"content": "a b c d e f g h i j k l m n o p"}) as stream:
        lines = stream.iter_lines()
        while "delta" not in next(lines):
            continue
        refused = dan.ask()
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_replies")
        reply = dan.http.get(f"/v1/conversations/{conversation}").json()["messages"][-1]["id"]
        dan.http.post(f"/v1/replies/{reply}/stop").raise_for_status()
    inference.pace()
    wait_until("the stopped reply is counted", lambda: dan.today().get("replies") == 1)
    assert dan.today()["prompt_tokens"] == 16
    assert 0 < dan.today()["completion_tokens"] < 18
    assert dan.ask("b").status_code == 200
