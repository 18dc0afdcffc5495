"""Server spans, request metrics and `GET /metrics` for a FastAPI app; client spans for an httpx client.

Health, readiness and metrics polls are left out of traces: they would drown everything else.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from httpx import AsyncClient
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool

_UNTRACED_PATHS = "health$,ready$,metrics$"


def instrument_app(app: FastAPI, more_metrics: Callable[[], Awaitable[str]] | None = None) -> None:
    """Trace and count the requests of `app` and serve its process's metrics on `GET /metrics`.

    `more_metrics` returns further metrics in Prometheus' text format, under names that this process does not use itself.
    One span per request: the instrumentation's extra span per sent chunk would cost a span per streamed token.
    """

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        own = await run_in_threadpool(generate_latest)
        more = await more_metrics() if more_metrics is not None else ""
        return Response(own + more.encode(), media_type=CONTENT_TYPE_LATEST)

    FastAPIInstrumentor.instrument_app(app, excluded_urls=_UNTRACED_PATHS, exclude_spans=["send", "receive"])


def instrument_client(client: AsyncClient) -> None:
    """Give each request of `client` a span and a `traceparent` header."""
    HTTPXClientInstrumentor().instrument_client(client)
