"""Configures logs, traces and metrics of one process from the environment.

`OTEL_EXPORTER_OTLP_ENDPOINT` turns on OTLP export, `TANDEM_TRACE_FILE` a local span file, `TANDEM_LOG_LEVEL` sets the level.
Without either, spans still exist (so that logs carry trace ids) and are exported nowhere.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tandem_telemetry.json_logs import configure_logging
from tandem_telemetry.span_file import SpanFileExporter

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# Short, so that a process killed without warning leaves nearly all of its spans behind.
_FILE_EXPORT_DELAY_MILLIS = 250


@dataclass(frozen=True)
class Telemetry:
    """What `configure_telemetry` built, to be closed last of all."""

    tracer_provider: TracerProvider

    def shutdown(self) -> None:
        """Export what is still buffered. Blocks for a few seconds at most; harmless when repeated."""
        self.tracer_provider.shutdown()


def configure_telemetry(service: str) -> Telemetry:
    """Install JSON logging, a tracer provider and Prometheus metrics for this process.

    Call once, at start: OpenTelemetry keeps the first providers for the life of the process.

    Raises:
        ValueError: `TANDEM_LOG_LEVEL` is not a level; the message lists those allowed.
    """
    level = os.environ.get("TANDEM_LOG_LEVEL", "INFO").upper()
    if level not in _LEVELS:
        raise ValueError(f"TANDEM_LOG_LEVEL: expected one of {', '.join(_LEVELS)}, got {level!r}")
    configure_logging(service, level)
    # The stable HTTP names (http.server.request.duration, in seconds), not the older ones in milliseconds.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")

    resource = Resource.create({SERVICE_NAME: f"tandem-{service}"})
    tracer_provider = TracerProvider(resource=resource)
    if trace_file := os.environ.get("TANDEM_TRACE_FILE"):
        tracer_provider.add_span_processor(
            BatchSpanProcessor(
                SpanFileExporter(Path(trace_file)), schedule_delay_millis=_FILE_EXPORT_DELAY_MILLIS
            )
        )
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[PrometheusMetricReader()]))
    return Telemetry(tracer_provider=tracer_provider)
