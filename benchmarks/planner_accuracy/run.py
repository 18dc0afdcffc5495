"""Prints how far the planner is from what engines logged: per term, per vLLM version, card and family, beside peers.

Run: `python benchmarks/planner_accuracy/run.py [FILE.csv]`. Peers are asked where their packages are installed
(see README.md); the planner itself needs nothing but its own dependencies.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.planner_accuracy.peers import PEERS, Peer
from tandem_inference.planner import EngineFlags, estimate, find_gpu, shape_of
from tandem_inference.planner.answer import as_json
from tandem_inference.planner.cli.tables import Cell, percent, table
from tandem_inference.planner.reported.comparison import (
    Compared,
    compare,
    errors,
    median,
    percentile,
)
from tandem_inference.planner.reported.rows import read_rows
from tandem_inference.planner.several.declaration import read_engines
from tandem_inference.planner.several.faces import plan_engines, wanted_engines

TERMS = ("weights_gib", "activation_gib", "non_torch_gib", "cudagraph_gib", "kv_cache_gib", "kv_cache_tokens")


def _line(name: str, found: Sequence[float]) -> list[Cell]:
    return [
        name,
        len(found),
        percent(median(found)),
        percent(percentile(found, 0.95)),
        percent(max(found, default=None)),
    ]


def terms_table(rows: Sequence[Compared]) -> str:
    header = ("term", "rows", "median", "95th", "worst")
    return table(header, [_line(name, errors(rows, name)) for name in TERMS])


def gib_table(rows: Sequence[Compared]) -> str:
    """Absolute errors, which say more than relative ones for small terms."""
    lines: list[list[Cell]] = []
    for name in TERMS[:5]:
        pairs = [pair for one in rows if (pair := one.pair(name)) is not None]
        off = sorted(abs(pair.predicted - pair.reported) for pair in pairs)
        if off:
            lines.append([name, f"{median(off):.3f}", f"{percentile(off, 0.95):.3f}", f"{off[-1]:.3f}"])
    return table(("term", "median GiB off", "95th", "worst"), lines)


def grouped(rows: Iterable[Compared], key: Callable[[Compared], str]) -> str:
    groups: dict[str, list[Compared]] = defaultdict(list)
    for one in rows:
        groups[key(one)].append(one)
    lines: list[list[Cell]] = [
        [
            name,
            len(members),
            percent(median(errors(members, "weights_gib"))),
            percent(median(errors(members, "kv_cache_gib"))),
            percent(max(errors(members, "kv_cache_gib"), default=None)),
        ]
        for name, members in sorted(groups.items())
    ]
    return table(("group", "rows", "weights median", "KV median", "KV worst"), lines)


def peers_table(rows: Sequence[Compared]) -> str:
    """All tools on the same rows: dense 16-bit models on one H100, where every one of them can answer."""
    common = [
        one
        for one in rows
        if one.answer.engine.gpu.id == "H100"
        and one.answer.engine.flags.tensor_parallel == one.answer.engine.flags.pipeline_parallel == 1
        and one.answer.engine.scheme.name == "none"
        and not one.answer.engine.shape.is_moe
        and one.pair("kv_cache_gib") is not None
    ]
    lines = [_peer_line(peer, common) for peer in PEERS]
    own_weights, own_kv = errors(common, "weights_gib"), errors(common, "kv_cache_gib")
    lines.append(
        [
            "tandem-plan",
            len(common),
            percent(median(own_weights)),
            percent(median(own_kv)),
            percent(max(own_kv)),
            "",
        ]
    )
    return table(("tool", "rows", "weights median", "KV median", "KV worst", "remark"), lines)


def _peer_line(peer: Peer, rows: Sequence[Compared]) -> list[Cell]:
    missing = peer.missing()
    if missing:
        return [peer.name, 0, "-", "-", "-", f"not installed: {missing}"]
    weights, kv = [], []
    for one in rows:
        answer = peer.ask(one.answer)
        logged = one.pair("weights_gib"), one.pair("kv_cache_gib")
        if answer.weights_gib is not None and logged[0] is not None:
            weights.append(abs(answer.weights_gib - logged[0].reported) / logged[0].reported)
        if answer.kv_gib is not None and logged[1] is not None:
            kv.append(abs(answer.kv_gib - logged[1].reported) / logged[1].reported)
    return [
        peer.name,
        len(rows),
        percent(median(weights)),
        percent(median(kv)),
        percent(max(kv, default=None)),
        peer.remark,
    ]


def _milliseconds(work: Callable[[], object], times: int) -> float:
    work()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return 1000 * (time.perf_counter() - start) / times


def speed_lines() -> str:
    shape, gpu = shape_of("meta-llama/Llama-3.1-8B"), find_gpu("L4")
    flags = EngineFlags(max_model_len=8192, quantization="fp8")
    names = (
        "Qwen/Qwen2.5-0.5B-Instruct",
        "Qwen/Qwen2.5-1.5B-Instruct",
        "google/gemma-3-4b-it",
        "Qwen/Qwen3-4B",
    )
    declared = [{"name": name, "model": name, "max_model_len": 4096, "max_num_seqs": 16} for name in names]
    wanted = wanted_engines(read_engines(declared), shape_of)
    rows: list[list[Cell]] = [
        ["estimate", f"{_milliseconds(lambda: estimate(shape, gpu, flags), 500):.3f} ms"],
        ["estimate as JSON", f"{_milliseconds(lambda: as_json(estimate(shape, gpu, flags)), 200):.3f} ms"],
        [
            "plan of 4 engines that fit",
            f"{_milliseconds(lambda: plan_engines(wanted, find_gpu('H100')), 50):.3f} ms",
        ],
        [
            "plan of 4 engines, refused with remedies",
            f"{_milliseconds(lambda: plan_engines(wanted, gpu), 20):.3f} ms",
        ],
    ]
    return table(("call", "time"), rows)


def main(arguments: Sequence[str]) -> int:
    file = Path(arguments[0]) if arguments else Path(__file__).parent / "vllm_memory_logs.csv"
    found = compare(read_rows(file.read_text(encoding="utf-8")))
    rows, summary = found.compared, found.summary()
    print(f"{file.name}: {summary['rows']} rows answered, {len(found.skipped)} skipped")
    print(
        f"KV GiB error: median {percent(summary['kv_gib_error_median'])}, 95th percentile "
        f"{percent(summary['kv_gib_error_p95'])}; weights median {percent(summary['weights_error_median'])}; "
        f"start or no start right in {percent(summary['start_right'])} of {summary['start_known']} known"
    )
    for title, text in (
        ("error by term", terms_table(rows)),
        ("GiB off by term", gib_table(rows)),
        (
            "by vLLM version",
            grouped(
                rows,
                lambda one: f"0.{one.answer.engine.rules.release.minor:02d} {one.answer.engine.rules.engine}",
            ),
        ),
        ("by card", grouped(rows, lambda one: one.answer.engine.gpu.id)),
        ("by family", grouped(rows, lambda one: one.answer.engine.shape.family)),
        ("peers, dense 16-bit models on one H100", peers_table(rows)),
        ("speed", speed_lines()),
    ):
        print(f"\n{title}\n{text}")
    for one in found.skipped:
        print(f"skipped {one.row.model or 'a row'}: {one.skipped}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
