"""Logs are one JSON object per line, each with its service and, inside a span, its trace."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace

from tandem_telemetry.json_logs import configure_logging

TRACE_ID = 0xABCDEF0123456789ABCDEF0123456789


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers, root.level = handlers, level


@pytest.fixture
def in_span() -> Iterator[None]:
    context = trace.SpanContext(TRACE_ID, 0x42, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        yield


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_names_service_event_and_facts(stream: io.StringIO) -> None:
    configure_logging("feedback", "INFO", stream)
    logging.getLogger("somewhere").info("job.finished", extra={"request_id": "r-1", "note": "zwei\nZeilen"})
    (line,) = lines(stream)
    assert {"service": "feedback", "event": "job.finished", "level": "INFO"}.items() <= line.items()
    assert {"request_id": "r-1", "note": "zwei\nZeilen"}.items() <= line.items()
    assert line["time"].endswith("+00:00")
    assert "trace_id" not in line


@pytest.mark.usefixtures("in_span")
def test_line_names_the_trace_when_written_inside_a_span(stream: io.StringIO) -> None:
    configure_logging("feedback", "INFO", stream)
    logging.getLogger("somewhere").warning("engine.slow")
    (line,) = lines(stream)
    assert line["trace_id"] == f"{TRACE_ID:032x}"
    assert line["span_id"] == f"{0x42:016x}"


def test_error_stays_on_one_line_with_its_traceback(stream: io.StringIO) -> None:
    configure_logging("feedback", "INFO", stream)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("somewhere").exception("loop.died")
    (line,) = lines(stream)
    assert "ZeroDivisionError" in line["exc_info"]


def test_quieter_levels_are_left_out(stream: io.StringIO) -> None:
    configure_logging("feedback", "WARNING", stream)
    logging.getLogger("somewhere").info("not.wanted")
    logging.getLogger("somewhere").warning("wanted")
    assert [line["event"] for line in lines(stream)] == ["wanted"]


def test_requests_of_the_client_library_are_left_out(stream: io.StringIO) -> None:
    configure_logging("feedback", "INFO", stream)
    logging.getLogger("httpx").info("HTTP Request: GET http://somewhere")
    assert lines(stream) == []


def test_nothing_is_written_twice_when_configured_again(stream: io.StringIO) -> None:
    configure_logging("feedback", "INFO", sys.stderr)
    configure_logging("feedback", "INFO", stream)
    logging.getLogger("uvicorn.error").warning("once")
    assert [line["event"] for line in lines(stream)] == ["once"]
