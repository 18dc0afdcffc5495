"""How soon is the engine free when callers leave? A hundred streams abandoned at random moments, direct and through the gateway.

Real vLLM; what is timed ends when vLLM itself counts no request any more. Run it by `make bench-stop`.
"""

import argparse
import asyncio
import random
import time
from typing import Any

from benchmarks.gateway.client import post
from benchmarks.gateway.figures import add_output_option, machine, spread, write
from benchmarks.gateway.running import MODEL_NAME, Running, real_engine, until_engine_is_free
from tandem_inference.planner.cli.tables import table

PATH = "/v1/chat/completions"


async def _abandoned(url: str, number: int, leave_after: float) -> None:
    messages = [{"role": "user", "content": f"Story {number}: tell a very long one."}]
    body = {"model": MODEL_NAME, "messages": messages, "max_tokens": 1500, "ignore_eos": True, "stream": True}
    try:
        async with asyncio.timeout(leave_after):
            await post(url + PATH, body)
    except TimeoutError:
        return
    raise SystemExit("A stream ended before its caller left; make the answers longer.")


async def until_free(running: Running, url: str, dice: random.Random, options: argparse.Namespace) -> float:
    """Abandon the streams; return the seconds from the last caller's leaving to no request in the engine."""
    moments = [dice.uniform(0.05, options.within_seconds) for _ in range(options.streams)]
    await asyncio.gather(*(_abandoned(url, number, moment) for number, moment in enumerate(moments)))
    left = time.perf_counter()
    await until_engine_is_free(running)
    return time.perf_counter() - left


async def measure(running: Running, options: argparse.Namespace) -> dict[str, list[float]]:
    dice = random.Random(options.seed)
    ways = {"vLLM directly": running.engine_url, "Tandem's gateway": running.url}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, url in ways.items():
            seconds[name].append(await until_free(running, url, dice, options))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument(
        "--within-seconds", type=float, default=4.0, help="callers leave somewhere in this time"
    )
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20261121)
    add_output_option(parser, "stop")
    options = parser.parse_args()
    before = machine()
    with real_engine(sequences=options.sequences) as running:
        seconds = asyncio.run(measure(running, options))
    figures: dict[str, Any] = {name: spread(samples) for name, samples in seconds.items()}
    print(
        f"\nSeconds from the last of {options.streams} callers leaving to an engine without requests (seed {options.seed})."
    )
    columns = ("count", "p50", "p95", "worst")
    rows = [
        (name, *(f"{one[key]:.3f}" if key != "count" else one[key] for key in columns))
        for name, one in figures.items()
    ]
    print(table(("way", "rounds", *columns[1:]), rows))
    write(options.json, {"machine": before, "options": vars(options) | {"json": None}, "ways": figures})


if __name__ == "__main__":
    main()
