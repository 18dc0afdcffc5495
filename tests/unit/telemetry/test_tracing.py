"""Traces travel in message attributes, and finished spans can be read from the span file."""

import json
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tandem_telemetry import current_trace_id, extract_context, inject_context
from tandem_telemetry.span_file import SpanFileExporter


def test_trace_goes_on_at_the_other_end_of_a_message() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("publish"):
        sent_in = current_trace_id()
        attributes = inject_context()
    with tracer.start_as_current_span("process", context=extract_context(attributes)):
        assert current_trace_id() == sent_in


def test_new_trace_begins_when_the_message_has_none_or_a_broken_one() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("unrelated"):
        unrelated = current_trace_id()
        for attributes in ({}, {"traceparent": "nonsense"}):
            with tracer.start_as_current_span("process", context=extract_context(attributes)):
                assert current_trace_id() not in (None, unrelated)


def test_nothing_is_injected_outside_of_a_span() -> None:
    assert inject_context() == {}
    assert current_trace_id() is None


def test_spans_can_be_read_one_per_line_when_the_process_has_ended(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "spans.jsonl"
    for _run in range(2):
        provider = TracerProvider(resource=Resource.create({"service.name": "tandem-test"}))
        provider.add_span_processor(SimpleSpanProcessor(SpanFileExporter(file)))
        with (
            provider.get_tracer("test").start_as_current_span("outer") as outer,
            provider.get_tracer("test").start_as_current_span("inner"),
        ):
            trace_id = trace.format_trace_id(outer.get_span_context().trace_id)
        provider.shutdown()
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    assert [span["name"] for span in spans] == ["inner", "outer"] * 2
    assert {span["resource"]["attributes"]["service.name"] for span in spans} == {"tandem-test"}
    inner, outer_read = spans[2:]
    assert inner["parent_id"] == outer_read["context"]["span_id"]
    assert inner["context"]["trace_id"] == f"0x{trace_id}"
