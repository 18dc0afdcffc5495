"""What does the hop through the gateway cost? Direct and through it in turn; LiteLLM's proxy beside them where it is given.

Three parts: the first token of one stream and the throughput of 16 and 64 over real vLLM; then, to see past the speed of
a CPU engine, 256 streams over the stub engine. Run it on a quiet machine: `make bench-overhead`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.gateway.client import Answer, post
from benchmarks.gateway.figures import add_output_option, machine, percentile, write
from benchmarks.gateway.running import (
    MODEL_NAME,
    Running,
    background_process,
    real_engine,
    stub_engine,
    wait_until_answering,
)
from tandem_inference.planner.cli.tables import table
from tests.support.ports import free_port

PATH = "/v1/chat/completions"
DIRECT = "directly"
GATEWAY = "Tandem's gateway"


@dataclass
class Way:
    """One way to the engine; the samples are one per round."""

    name: str
    url: str
    pid: int | None
    first_seconds: list[float] = field(default_factory=list)
    rates: dict[int, list[float]] = field(default_factory=dict)

    def mib(self) -> float | None:
        return None if self.pid is None else round(psutil.Process(self.pid).memory_info().rss / 2**20)


async def ask(way: Way, number: int, tokens: int) -> Answer:
    messages = [{"role": "user", "content": f"Question {number}: what is a river?"}]
    fixed = {"max_tokens": tokens, "ignore_eos": True, "temperature": 0.0, "stream": True}
    answer = await post(way.url + PATH, {"model": MODEL_NAME, "messages": messages} | fixed)
    if answer.status != 200 or answer.events < tokens // 2:
        raise SystemExit(f"{way.name}: {answer.status} after {answer.events} events: {bytes(answer.body)!r}")
    return answer


async def tokens_per_second(way: Way, streams: int, tokens: int) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(ask(way, number, tokens) for number in range(streams)))
    return streams * tokens / (time.perf_counter() - started)


async def measure(ways: list[Way], *, rounds: int, pairs: int, streams: tuple[int, ...], tokens: int) -> None:
    """Fill the ways' samples. The order turns with each sample, so that none always comes first."""
    for way in ways:
        await ask(way, 0, 8)
    for number in range(rounds):
        print(f"round {number + 1}", flush=True)
        for pair in range(pairs):
            for way in _turned(ways, pair):
                first = (await ask(way, pair, 8)).first_seconds
                way.first_seconds.append(first or 0.0)
        for count in streams:
            for way in _turned(ways, number):
                way.rates.setdefault(count, []).append(await tokens_per_second(way, count, tokens))


def _turned(ways: list[Way], by: int) -> list[Way]:
    by %= len(ways)
    return ways[by:] + ways[:by]


def told(ways: list[Way]) -> dict[str, Any]:
    direct = ways[0]
    median = statistics.median
    return {
        way.name: {
            "first_token_ms": round(1000 * median(way.first_seconds), 2),
            "first_token_p95_ms": round(1000 * percentile(way.first_seconds, 0.95), 2),
            # Pairs taken one after the other share the machine's mood; medians of all would not.
            "first_token_more_ms": round(
                1000 * median(a - b for a, b in zip(way.first_seconds, direct.first_seconds, strict=True)), 2
            ),
            "tokens_per_second": {str(count): round(median(rates), 1) for count, rates in way.rates.items()},
            "share_of_direct": {
                str(count): round(median(a / b for a, b in zip(rates, direct.rates[count], strict=True)), 3)
                for count, rates in way.rates.items()
            },
            "mib": way.mib(),
        }
        for way in ways
    }


def printed(title: str, figures: dict[str, Any]) -> None:
    counts = list(next(iter(figures.values()))["tokens_per_second"])
    header = ["way", "first token ms", "p95", "more than direct"]
    header += (
        [f"{count} streams tok/s" for count in counts] + [f"of direct, {count}" for count in counts] + ["MiB"]
    )
    rows = [
        [
            name,
            one["first_token_ms"],
            one["first_token_p95_ms"],
            one["first_token_more_ms"],
            *one["tokens_per_second"].values(),
            *(f"{share:.1%}" for share in one["share_of_direct"].values()),
            one["mib"],
        ]
        for name, one in figures.items()
    ]
    print(f"\n{title}\n{table(header, rows)}")


@contextmanager
def litellm(program: Path | None, running: Running) -> Iterator[list[Way]]:
    """LiteLLM's proxy before the same engine, where `program` names it; else nothing."""
    if program is None:
        yield []
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(
            f"model_list:\n  - model_name: {MODEL_NAME}\n    litellm_params:\n"
            f"      model: hosted_vllm/{MODEL_NAME}\n      api_base: {running.engine_url}/v1\n      api_key: none\n"
        )
        command = [
            str(program),
            "--config",
            str(folder / "config.yaml"),
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
        ]
        quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        with background_process(command, folder, quiet, folder / "log") as process:
            url = f"http://127.0.0.1:{port}"
            wait_until_answering(f"{url}/health/liveliness", process, folder / "log")
            yield [Way("LiteLLM's proxy", url, process.pid)]


def run_part(running: Running, options: argparse.Namespace, **how: Any) -> dict[str, Any]:
    with litellm(options.litellm, running) as others:
        ways = [Way(DIRECT, running.engine_url, None), Way(GATEWAY, running.url, running.pid), *others]
        spent = running.gateway_cpu_seconds()
        asyncio.run(measure(ways, rounds=options.rounds, **how))
        figures = told(ways)
        figures[GATEWAY]["cpu_seconds"] = round(running.gateway_cpu_seconds() - spent, 2)
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=20, help="single streams of each way, each round")
    parser.add_argument(
        "--litellm", type=Path, help="path of the program `litellm`, in an environment of its own"
    )
    parser.add_argument("--only", choices=("vllm", "stub"))
    add_output_option(parser, "overhead")
    options = parser.parse_args()
    before, parts = machine(), {}
    if options.only != "stub":
        with real_engine(sequences=64) as running:
            parts["vllm"] = run_part(running, options, pairs=options.pairs, streams=(16, 64), tokens=64)
        printed("Real vLLM on the CPU", parts["vllm"])
    if options.only != "vllm":
        with stub_engine(sequences=256, first_token_seconds=0.05, token_seconds=0.05) as running:
            parts["stub"] = run_part(running, options, pairs=options.pairs, streams=(256,), tokens=100)
        printed("Stub engine: 20 tokens a second and stream, 256 streams make 5,120 a second", parts["stub"])
    write(
        options.json,
        {"machine": before, "options": vars(options) | {"json": None, "litellm": None}, "parts": parts},
    )


if __name__ == "__main__":
    main()
