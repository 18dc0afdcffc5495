"""An engine that is killed while requests run, wait and stream: each of them ends in an answer or in a told error."""

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.support.eventually import eventually_awaited
from tests.support.inference_service import RunningService, inference_service

PATH = "/v1/chat/completions"
PATIENCE_SECONDS = 30.0
BODY: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "on and on"}],
    "ignore_eos": True,
    "max_tokens": 25,
}


async def _ask(caller: httpx.AsyncClient, number: int) -> str:
    """How one request ended: answered, cut_off, the code of an error, or lost."""
    body = BODY | {"stream": number % 2 == 0}
    headers = {"X-Tandem-Class": ("interactive", "background")[number % 3 // 2]}
    answer = await caller.post(PATH, json=body, headers=headers)
    if answer.status_code != 200:
        return str(answer.json()["error"]["code"])
    if not body["stream"]:
        return "answered" if answer.json()["usage"]["completion_tokens"] == 25 else "lost"
    last = answer.text.strip().rsplit("\n\n", 1)[-1].removeprefix("data: ")
    if last == "[DONE]":
        return "answered"
    return "cut_off" if json.loads(last)["error"]["code"] == "engine_not_ready" else "lost"


def _kill_engine(service: RunningService) -> None:
    records = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    pids = [record["pid"] for record in records if record["event"] == "engine.starting"]
    os.killpg(pids[-1], signal.SIGKILL)


async def test_every_request_ends_in_an_answer_or_a_told_error_when_the_engine_is_killed(
    tmp_path: Path,
) -> None:
    flags = ("--first-token-delay-seconds", "0.3", "--token-delay-seconds", "0.03")
    environment = {"TANDEM_INFERENCE_INTERACTIVE_LONGEST_WAIT_SECONDS": "60"}
    with inference_service(tmp_path, engine_flags=flags, environment=environment) as service:
        await asyncio.to_thread(service.wait_until_ready)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=service.url, timeout=90, limits=limits) as caller:

            async def engine_works_on(count: int) -> bool:
                asked = (await caller.get(service.engine_url + "/stub/requests")).json()
                return bool(sum(one["tokens_sent"] > 0 for one in asked) >= count)

            calls = [asyncio.create_task(_ask(caller, number)) for number in range(40)]
            await eventually_awaited(
                "the engine works", lambda: engine_works_on(10), seconds=PATIENCE_SECONDS
            )
            _kill_engine(service)
            async with asyncio.timeout(90):
                ends = Counter(await asyncio.gather(*calls))
            assert ends.keys() <= {"answered", "cut_off"}, ends
            assert ends["cut_off"] >= 1  # streams that had begun
            assert ends["answered"] >= 20  # all that waited, and whole answers asked for again
            engines = (await caller.get("/engines")).json()["engines"]
    assert engines[0]["restarts"] == 1
