"""The instruments of this service; each is described by its name in `tandem_telemetry.names`."""

from opentelemetry import metrics

from tandem_telemetry import names

_meter = metrics.get_meter("tandem_inference")

REQUESTS = _meter.create_counter(
    names.GATEWAY_REQUESTS, unit="{request}", description="Requests answered, by class and HTTP status."
)
TIME_TO_FIRST_BYTE = _meter.create_histogram(
    names.GATEWAY_TIME_TO_FIRST_BYTE,
    unit="s",
    description="From the request's arrival to the first byte of the engine's answer.",
    explicit_bucket_boundaries_advisory=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100],
)
CLIENT_DISCONNECTS = _meter.create_counter(
    names.GATEWAY_CLIENT_DISCONNECTS,
    unit="{request}",
    description="Requests whose caller left before the end.",
)
DISCONNECT_TO_FREE = _meter.create_histogram(
    names.GATEWAY_DISCONNECT_TO_FREE,
    unit="s",
    description="From a caller's leaving to its slot, or its place in the queue, being free.",
    explicit_bucket_boundaries_advisory=[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
)
QUEUE_WAIT = _meter.create_histogram(
    names.GATEWAY_QUEUE_WAIT,
    unit="s",
    description="How long requests waited for their turn and for their engine, by class.",
    explicit_bucket_boundaries_advisory=[0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600],
)
TOKENS = _meter.create_counter(
    names.GATEWAY_TOKENS, unit="{token}", description="Tokens read and written, by class, model and kind."
)
ENGINE_RESTARTS = _meter.create_counter(
    names.ENGINE_RESTARTS, unit="{restart}", description="Restarts of an engine after a crash."
)
ENGINE_READY = _meter.create_gauge(
    names.ENGINE_READY, unit="1", description="1 while the engine answers requests, else 0."
)
