"""Does chat feel the background? Chat one by one against a full backlog: plain vLLM, vLLM with priorities, the gateway.

One engine, one run, the ways in turn. Run it on a quiet machine: `make bench-interference`.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.gateway.client import post
from benchmarks.gateway.figures import add_output_option, machine, spread, write
from benchmarks.gateway.running import MODEL_NAME, Running, real_engine, until_engine_is_free
from tandem_inference.planner.cli.tables import table

PATH = "/v1/chat/completions"
SETTLE_SECONDS = 6.0  # until the backlog has filled every slot
PAUSE_SECONDS = 0.3
_numbers = itertools.count()


@dataclass
class Way:
    """One way to the engine, and what was measured on it."""

    name: str
    url: str
    chat: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    chat_headers: dict[str, str] = field(default_factory=dict)
    job_headers: dict[str, str] = field(default_factory=dict)
    chats_per_round: int = 4
    idle: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    tokens_per_second: list[float] = field(default_factory=list)

    async def ask(self) -> float:
        """Seconds to the first token of one chat."""
        body = _body(f"Question {next(_numbers)}: what is a river?", 24) | self.chat
        answer = await post(self.url + PATH, body, self.chat_headers)
        if answer.status != 200 or answer.first_seconds is None:
            raise SystemExit(f"{self.name}: a chat was answered {answer.status}: {bytes(answer.body)!r}")
        return answer.first_seconds


def ways(running: Running) -> list[Way]:
    return [
        Way("vLLM, first come first served", running.engine_url, {"priority": 0}, {"priority": 0}),
        Way("vLLM, priorities", running.engine_url, {"priority": 0}, {"priority": 10}),
        Way(
            "Tandem's gateway",
            running.url,
            chat_headers={"X-Tandem-Class": "interactive"},
            job_headers={"X-Tandem-Class": "background"},
            chats_per_round=12,
        ),
    ]


class Backlog:
    """Keeps `jobs` requests queued or running until it is left."""

    def __init__(self, way: Way, jobs: int, tokens: int) -> None:
        self._way, self._jobs, self._tokens = way, jobs, tokens
        self.tokens_seen = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        workers = [asyncio.create_task(self._work()) for _ in range(self._jobs)]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            ends = await asyncio.gather(*workers, return_exceptions=True)
            if failed := [end for end in ends if isinstance(end, Exception)]:
                raise failed[0]

    async def _work(self) -> None:
        while True:
            topic = "rivers, hills and the weather of old towns " * 12
            body = _body(f"Job {next(_numbers)}: write about {topic}", self._tokens) | self._way.jobs
            answer = await post(self._way.url + PATH, body, self._way.job_headers, on_event=self._count)
            if answer.status != 200:
                raise SystemExit(
                    f"{self._way.name}: a job was answered {answer.status}: {bytes(answer.body)!r}"
                )

    def _count(self) -> None:
        self.tokens_seen += 1

    async def rate(self, seconds: float) -> float:
        """Tokens per second over the next `seconds`."""
        before, started = self.tokens_seen, time.perf_counter()
        await asyncio.sleep(seconds)
        return (self.tokens_seen - before) / (time.perf_counter() - started)


async def measure(running: Running, options: argparse.Namespace) -> list[Way]:
    measured = ways(running)
    await measured[0].ask()  # the first request of an engine's life is slow
    for number in range(options.rounds):
        for way in measured:
            print(f"round {number + 1}: {way.name}", flush=True)
            for _ in range(options.idle):
                way.idle.append(await way.ask())
            await _under_backlog(way, options)
            await until_engine_is_free(running)
    return measured


async def _under_backlog(way: Way, options: argparse.Namespace) -> None:
    backlog = Backlog(way, options.jobs, options.job_tokens)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(backlog.running())
        await asyncio.sleep(SETTLE_SECONDS)
        way.tokens_per_second.append(await backlog.rate(options.quiet_seconds))
        for _ in range(way.chats_per_round):
            way.busy.append(await way.ask())
            await asyncio.sleep(PAUSE_SECONDS)


def _body(text: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    fixed = {"max_tokens": tokens, "ignore_eos": True, "temperature": 0.7, "stream": True}
    return {"model": MODEL_NAME, "messages": messages, **fixed}


def told(measured: list[Way]) -> dict[str, Any]:
    best = max(sum(way.tokens_per_second) / len(way.tokens_per_second) for way in measured)
    figures: dict[str, Any] = {}
    for way in measured:
        rate = sum(way.tokens_per_second) / len(way.tokens_per_second)
        idle, busy = spread(way.idle), spread(way.busy)
        figures[way.name] = {
            "idle_seconds": idle,
            "busy_seconds": busy,
            "busy_p95_over_idle_p95": round(busy["p95"] / idle["p95"], 2),
            "background_tokens_per_second": round(rate, 1),
            "background_share_of_best": round(rate / best, 3),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=40, help="background requests queued or running")
    parser.add_argument("--job-tokens", type=int, default=256)
    parser.add_argument("--idle", type=int, default=10, help="chats without background, each round")
    parser.add_argument("--quiet-seconds", type=float, default=15, help="background alone, each round")
    parser.add_argument("--sequences", type=int, default=16)
    add_output_option(parser, "interference")
    options = parser.parse_args()
    before = machine()
    with real_engine(sequences=options.sequences) as running:
        figures = told(asyncio.run(measure(running, options)))
    header = (
        "way",
        "idle p50",
        "idle p95",
        "busy p50",
        "busy p95",
        "worst",
        "busy/idle p95",
        "background tok/s",
        "of best",
    )
    rows = [
        (
            name,
            *(f"{one['idle_seconds'][key]:.3f}" for key in ("p50", "p95")),
            *(f"{one['busy_seconds'][key]:.3f}" for key in ("p50", "p95", "worst")),
            one["busy_p95_over_idle_p95"],
            one["background_tokens_per_second"],
            f"{one['background_share_of_best']:.1%}",
        )
        for name, one in figures.items()
    ]
    print(
        f"\nSeconds to the first token of a chat; {options.jobs} jobs of {options.job_tokens} tokens behind it."
    )
    print(table(header, rows))
    write(options.json, {"machine": before, "options": vars(options) | {"json": None}, "ways": figures})


if __name__ == "__main__":
    main()
