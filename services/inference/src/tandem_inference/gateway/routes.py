"""The routes that callers of an OpenAI-compatible server know. Parses and routes; `relay` does the rest."""

import time
from typing import Any

import httpx
from fastapi import APIRouter, Depends, Request, Response
from opentelemetry import trace

from tandem_inference import metrics
from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.fleet import Fleet
from tandem_inference.errors import InferenceError
from tandem_inference.gateway.body import encode_body, model_of, read_body
from tandem_inference.gateway.openai_errors import KINDS
from tandem_inference.gateway.relay import RelayedAnswer
from tandem_inference.gateway.request_class import CLASS_HEADER, request_class
from tandem_inference.gateway.service_token import ServiceToken
from tandem_telemetry import names

_SCHEDULED_PATHS = ("/v1/chat/completions", "/v1/completions")


def openai_router(
    fleet: Fleet, client: httpx.AsyncClient, token: ServiceToken, *, max_body_bytes: int
) -> APIRouter:
    """Return the routes over `fleet`; `client` carries the requests to the engines."""
    router = APIRouter(dependencies=[Depends(token)])
    created = int(time.time())

    @router.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_card(engine.declared, created) for engine in fleet.engines]}

    async def relay(request: Request) -> Response:
        who = request_class(request.headers.get(CLASS_HEADER))
        try:
            body = await read_body(request.stream(), max_bytes=max_body_bytes)
            engine = fleet.serving(model_of(body))
            engine.require_ready()
            if request.url.path in _SCHEDULED_PATHS:
                body["priority"] = who.priority
            content = encode_body(body)
        except InferenceError as error:
            status = KINDS[type(error)].status
            metrics.REQUESTS.add(1, {names.REQUEST_CLASS: who, "http.response.status_code": status})
            raise
        facts = {names.REQUEST_CLASS: who.value, names.ENGINE: engine.declared.name}
        trace.get_current_span().set_attributes(facts)
        url = engine.base_url + request.url.path
        outgoing = client.build_request("POST", url, content=content, headers=_passed_on(request))
        return RelayedAnswer(client, outgoing, engine, who)

    for path in (*_SCHEDULED_PATHS, "/tokenize"):
        router.add_api_route(path, relay, methods=["POST"], response_model=None)
    return router


def _passed_on(request: Request) -> dict[str, str]:
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if request_id := request.headers.get("x-request-id"):
        headers["x-request-id"] = request_id
    return headers


def _card(declared: Engine, created: int) -> dict[str, Any]:
    return {
        "id": declared.served_model_name,
        "object": "model",
        "created": created,
        "owned_by": "tandem",
        "max_model_len": declared.max_model_len,
    }
