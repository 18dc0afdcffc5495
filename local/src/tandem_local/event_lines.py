"""Turns one line of a service's log, JSON or not, into one line for a person at the terminal."""

import json
from datetime import datetime
from typing import Any

NAME_WIDTH = 9
LONGEST_LINE = 300  # the log file has the rest
_SHOWN_FIRST = {"time", "level", "service", "event", "message", "trace_id", "span_id"}
_MULTI_LINE = ("exc_info", "stack_info")


def render(name: str, line: str) -> str:
    """Return `line` with the program's name in front; a JSON event becomes time, level, event and its facts."""
    prefix = f"{name:{NAME_WIDTH}} | "
    try:
        event = json.loads(line)
    except ValueError:
        return _shortened(prefix + line)
    if not isinstance(event, dict) or not ("event" in event or "message" in event):
        return _shortened(prefix + line)
    words = [
        _clock(event.get("time")),
        f"{event.get('level', 'INFO'):7}",
        str(event.get("event", event.get("message"))),
    ]
    words += [
        f"{key}={_fact(value)}" for key, value in event.items() if key not in {*_SHOWN_FIRST, *_MULTI_LINE}
    ]
    if trace := event.get("trace_id"):
        words.append(f"trace={str(trace)[:8]}")
    below = [f"\n{prefix}  {row}" for key in _MULTI_LINE for row in str(event.get(key) or "").splitlines()]
    return _shortened(prefix + " ".join(words)) + "".join(below)


def _clock(time: object) -> str:
    try:
        return datetime.fromisoformat(str(time)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return "--:--:--"


def _fact(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, ensure_ascii=False) if not value or any(c.isspace() for c in value) else value


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
