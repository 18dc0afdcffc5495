"""Server spans, request metrics and `GET /metrics` for a FastAPI app; client spans for an httpx client.

Health, readiness and metrics polls are left out of traces: they would drown everything else.
"""

from fastapi import FastAPI, Response
from httpx import AsyncClient
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_UNTRACED_PATHS = "health$,ready$,metrics$"


def instrument_app(app: FastAPI) -> None:
    """Trace and count the requests of `app` and serve its process's metrics on `GET /metrics`.

    One span per request: the instrumentation's extra span per sent chunk would cost a span per streamed token.
    """

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    FastAPIInstrumentor.instrument_app(app, excluded_urls=_UNTRACED_PATHS, exclude_spans=["send", "receive"])


def instrument_client(client: AsyncClient) -> None:
    """Give each request of `client` a span and a `traceparent` header."""
    HTTPXClientInstrumentor().instrument_client(client)
