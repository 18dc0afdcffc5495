"""Carries the trace across places that know nothing of tracing: message attributes and outbox rows.

Uses the W3C `traceparent` field through OpenTelemetry's own propagator.
"""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def inject_context() -> dict[str, str]:
    """Return the current trace as string attributes (`traceparent`, perhaps `tracestate`); empty without a span."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier


def extract_context(attributes: Mapping[str, str]) -> Context:
    """Return the context that `attributes` carry; a missing or malformed `traceparent` gives an empty one."""
    return _propagator.extract(dict(attributes), context=Context())


def current_trace_id() -> str | None:
    """Return the running span's trace id as 32 hex digits, or None outside of any span."""
    span_context = trace.get_current_span().get_span_context()
    return f"{span_context.trace_id:032x}" if span_context.is_valid else None
