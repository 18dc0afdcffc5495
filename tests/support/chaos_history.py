"""What a drill's own client did and saw, as an append-only file, and the verdict that follows from that file alone."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPEN_STATES = ("queued", "running")


@dataclass(frozen=True)
class Verdict:
    """What became of the requests.

    `lost`: accepted and without an outcome, though nobody works on it any more. `stuck`: the same, but still called open.
    `doubled`: two different outcomes, so that a reader who knows a request by its id still sees two. `unexplained`: an
    outcome that nobody asked for, or a failure without code or sentence.
    """

    accepted: int
    outcomes: dict[str, int]
    lost: tuple[str, ...]
    stuck: tuple[str, ...]
    doubled: tuple[str, ...]
    unexplained: tuple[str, ...]
    repeats: int
    seconds: float

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """Return what must be empty."""
        found = {
            "lost": self.lost,
            "stuck": self.stuck,
            "doubled": self.doubled,
            "unexplained": self.unexplained,
        }
        return {name: ids for name, ids in found.items() if ids}


class History:
    """The file of one drill. Safe to append to from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def append(self, kind: str, request_id: str, **facts: Any) -> None:
        line = json.dumps({"at": time.monotonic(), "kind": kind, "id": request_id, **facts})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def entries(self) -> list[dict[str, Any]]:
        """Return all that was appended, read back from the file."""
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def close(self) -> None:
        self._file.close()


def judge(entries: Iterable[dict[str, Any]]) -> Verdict:
    """Tell from a history what became of every request that was accepted."""
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_kind[entry["kind"]].append(entry)
    sent = {entry["id"] for entry in by_kind["sent"]}
    accepted = {entry["id"] for entry in by_kind["accepted"]}
    seen: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for entry in by_kind["outcome"]:
        seen[entry["id"]].setdefault(entry["digest"], entry)
    states = {entry["id"]: entry["state"] for entry in by_kind["state"]}
    without = accepted - set(seen)
    stuck = {one for one in without if states.get(one) in OPEN_STATES}
    return Verdict(
        accepted=len(accepted),
        outcomes=dict(Counter(next(iter(told.values()))["type"] for told in seen.values())),
        lost=tuple(sorted(without - stuck)),
        stuck=tuple(sorted(stuck)),
        doubled=tuple(sorted(one for one, told in seen.items() if len(told) > 1)),
        unexplained=tuple(sorted(one for one, told in seen.items() if one not in sent or _is_silent(told))),
        repeats=len(by_kind["outcome"]) - sum(map(len, seen.values())),
        seconds=_span(by_kind),
    )


def _is_silent(told: dict[str, dict[str, Any]]) -> bool:
    failures = [entry for entry in told.values() if entry["type"].startswith("feedback.failed")]
    return any(not entry.get("code") or not entry.get("detail") for entry in failures)


def _span(by_kind: dict[str, list[dict[str, Any]]]) -> float:
    """From the first request to the last first outcome."""
    first_outcomes: dict[str, float] = {}
    for entry in by_kind["outcome"]:
        first_outcomes.setdefault(entry["id"], entry["at"])
    if not by_kind["sent"] or not first_outcomes:
        return 0.0
    return float(max(first_outcomes.values()) - by_kind["sent"][0]["at"])
