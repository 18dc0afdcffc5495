"""The official `openai` package, unchanged, against chat: models, whole answers, streams, errors, and leaving early."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.chat_process import ChatProcess, StubInference, new_token
from tests.support.eventually import eventually, eventually_awaited

MODEL = "smollm2-135m-instruct"
PERSONAS = """
[[persona]]
name = "tutor"
title = "Tutor"
system_prompt = "You teach Korean."
temperature = 0.3
"""


@pytest.fixture(scope="module")
def chat(running_inference: StubInference, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatProcess]:
    folder: Path = tmp_path_factory.mktemp("chat-openai")
    (folder / "personas.toml").write_text(PERSONAS)
    database_url = f"sqlite+aiosqlite:///{folder / 'chat.db'}"
    process = ChatProcess(folder, database_url=database_url, inference_url=running_inference.url)
    process.migrate()
    process.start(
        TANDEM_CHAT_API_KEYS="true",
        TANDEM_CHAT_PERSONAS_FILE=str(folder / "personas.toml"),
        TANDEM_CHAT_REPLIES_PER_MINUTE="50",
    )
    yield process
    process.stop()
    assert "request.crashed" not in process.log()


@pytest.fixture(scope="module")
def key(chat: ChatProcess) -> str:
    return new_token(chat, "--owner", "ada")


@pytest.fixture
async def client(chat: ChatProcess, key: str, inference: StubInference) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{chat.url}/v1", api_key=key, max_retries=0) as made:
        yield made


def said(content: str) -> Any:
    return [{"role": "user", "content": content}]


async def test_models_are_the_services_own_and_its_personas(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL, "default", "tutor"]


async def test_whole_answer_has_text_reason_and_usage(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=MODEL, messages=said("Hello there"))
    assert answer.choices[0].message.content == "You said: Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        2,
        4,
        6,
    )


async def test_stream_brings_the_same_piece_by_piece_and_usage_if_asked_for(
    client: openai.AsyncOpenAI,
) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=said("안녕 여우 🦊"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: 안녕 여우 🦊"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


async def test_persona_is_a_model_whose_system_prompt_and_sampling_reach_the_engine(
    client: openai.AsyncOpenAI, inference: StubInference
) -> None:
    await client.chat.completions.create(
        model="tutor", messages=said("Once more"), top_p=0.5, seed=7, stop=["END"], max_tokens=9
    )
    asked = inference.asked("Once more").body
    assert asked["messages"][0] == {"role": "system", "content": "You teach Korean."}
    assert (asked["model"], asked["temperature"], asked["top_p"]) == (MODEL, 0.3, 0.5)
    assert (asked["seed"], asked["stop"], asked["max_tokens"]) == (7, ["END"], 9)


async def test_only_listed_fields_reach_the_engine(
    client: openai.AsyncOpenAI, inference: StubInference
) -> None:
    await client.chat.completions.create(
        model=MODEL, messages=said("Quite plain"), n=1, presence_penalty=0, user="somebody", logprobs=False
    )
    allowed = {"model", "messages", "max_tokens", "stream", "stream_options"}
    assert set(inference.asked("Quite plain").body) <= allowed


REFUSED: dict[str, dict[str, Any]] = {
    "a system prompt": {"messages": [{"role": "system", "content": "Obey."}, *said("Hi")]},
    "an image": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    },
    "no message": {"messages": []},
    "several answers": {"n": 2},
    "probabilities": {"logprobs": True},
    "tools": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    "a schema": {"response_format": {"type": "json_object"}},
    "a priority": {"extra_body": {"priority": -9}},
    "a template": {"extra_body": {"chat_template": "{{ 1 }}"}},
    "too hot": {"temperature": 3},
    "no tokens": {"max_tokens": 0},
    "a penalty": {"frequency_penalty": 1},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_not_allowed_is_refused_and_named(client: openai.AsyncOpenAI, name: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(**({"model": MODEL, "messages": said("Hi")} | REFUSED[name]))
    assert refused.value.body is not None
    assert refused.value.code == "invalid_request"


async def test_unknown_model_is_not_found_with_the_known_ones(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="tutor"):
        await client.chat.completions.create(model="gpt-99", messages=said("Hi"))


async def test_messages_that_do_not_fit_are_refused_with_the_numbers(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="2048"):
        await client.chat.completions.create(model=MODEL, messages=said("word " * 3000))


async def test_wrong_key_is_an_authentication_error(chat: ChatProcess) -> None:
    async with openai.AsyncOpenAI(base_url=f"{chat.url}/v1", api_key="tandem_x_y", max_retries=0) as nobody:
        with pytest.raises(openai.AuthenticationError):
            await nobody.chat.completions.create(model=MODEL, messages=said("Hi"))


async def test_engine_that_is_away_is_an_error_to_come_back_after(
    client: openai.AsyncOpenAI, inference: StubInference
) -> None:
    inference.is_ready = False
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model=MODEL, messages=said("Hi"), stream=stream)
        assert refused.value.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "7"


@pytest.mark.parametrize("stream", [True, False])
async def test_engine_stops_and_tokens_are_counted_when_the_caller_leaves(
    chat: ChatProcess, client: openai.AsyncOpenAI, inference: StubInference, stream: bool
) -> None:
    inference.pace(token_delay_seconds=0.05)
    content = f"leaving early {stream} " + "word " * 100
    headers = {"Authorization": f"Bearer {client.api_key}"}
    body = {"model": MODEL, "messages": said(content), "stream": stream}
    async with httpx.AsyncClient(base_url=chat.url, headers=headers, trust_env=False) as caller:
        before = (await caller.get("/v1/usage")).json()["days"]
        call = asyncio.create_task(caller.post("/v1/chat/completions", json=body, timeout=60))
        await eventually("some tokens", lambda: tokens_sent(inference, content) > 3)
        call.cancel()
        await eventually("the engine to stop", lambda: inference.asked(content).outcome == "disconnected")

        async def counted() -> bool:
            after = (await caller.get("/v1/usage")).json()["days"]
            return bool(after) and (not before or after[0]["replies"] > before[0]["replies"])

        await eventually_awaited("the tokens to be counted", counted)


def tokens_sent(inference: StubInference, content: str) -> int:
    asked = [asked for asked in inference.engine.asked if asked.body["messages"][-1]["content"] == content]
    return asked[-1].tokens_sent if asked else 0
