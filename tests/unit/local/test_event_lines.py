"""How a service's log line looks in the terminal of `make run`."""

import json
from datetime import UTC, datetime

from tandem_local.event_lines import LONGEST_LINE, render


def test_an_event_becomes_time_level_name_and_facts() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    line = json.dumps(
        {
            "time": at.isoformat(),
            "level": "INFO",
            "service": "chat",
            "event": "reply.finished",
            "reply_id": "r1",
            "seconds": 1.5,
            "note": "two words",
            "trace_id": "0123456789abcdef0123456789abcdef",
            "span_id": "0123456789abcdef",
        }
    )
    clock = at.astimezone().strftime("%H:%M:%S")
    assert render("chat", line) == (
        f'chat      | {clock} INFO    reply.finished reply_id=r1 seconds=1.5 note="two words" trace=01234567'
    )


def test_a_traceback_stands_below_its_event_with_the_name_in_front() -> None:
    line = json.dumps({"event": "job.failed", "level": "ERROR", "exc_info": "Traceback\n  ValueError: no"})
    first, *below = render("feedback", line).splitlines()
    assert first == "feedback  | --:--:-- ERROR   job.failed"
    assert below == ["feedback  |   Traceback", "feedback  |     ValueError: no"]


def test_a_line_passes_as_it_is_when_it_is_no_event() -> None:
    for line in ("INFO: plain text", "[1, 2]", '{"neither": "event nor message"}', "{broken"):
        assert render("emulator", line) == f"emulator  | {line}"


def test_a_nested_fact_is_compact_json_and_a_long_line_is_cut() -> None:
    assert render("chat", '{"event": "up", "level": "INFO", "ports": {"a": 1}}').endswith('up ports={"a":1}')
    assert len(render("chat", json.dumps({"event": "up", "text": "x" * 1000}))) == LONGEST_LINE
