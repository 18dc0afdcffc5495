"""The routes that callers of an OpenAI-compatible server know, for all engines and for each. Parses; `dispatch` does the rest."""

import time
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from opentelemetry import trace
from starlette.requests import ClientDisconnect

from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.errors import InferenceError
from tandem_inference.gateway.asked import Asked
from tandem_inference.gateway.body import Body, encode_body, model_of, read_body
from tandem_inference.gateway.caller import Caller, read_caller
from tandem_inference.gateway.dispatch import Dispatch
from tandem_inference.gateway.engine_choice import EngineChoice
from tandem_inference.gateway.exchange import Exchange
from tandem_inference.gateway.openai_errors import KINDS
from tandem_inference.gateway.relay import RelayedAnswer
from tandem_inference.gateway.request_record import RequestRecord
from tandem_inference.gateway.sequences import answers_of, prompts_of
from tandem_inference.gateway.service_token import ServiceToken
from tandem_inference.gateway.usage import ask_for_usage
from tandem_telemetry import names

_TOKENIZE = "/tokenize"
_TAKING_SLOTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
_ONE_ENGINE = "/engines/{engine}"
_CLIENT_LEFT = 499


def openai_router(
    fleet: Fleet, choice: EngineChoice, exchange: Exchange, token: ServiceToken, *, max_body_bytes: int
) -> APIRouter:
    """Return the routes over `fleet`."""
    router = APIRouter(dependencies=[Depends(token)])
    created = int(time.time())

    @router.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return _models(fleet.engines, created)

    @router.get(_ONE_ENGINE + "/v1/models")
    async def list_models_of_engine(engine: str) -> dict[str, Any]:
        return _models([fleet.named(engine)], created)

    def add(path: str) -> None:
        async def relay(request: Request) -> Response:
            record = RequestRecord(is_logged=path != _TOKENIZE)
            try:
                record.caller = read_caller(request.headers, default_class=request.state.default_class)
                name = request.path_params.get("engine")
                if name is not None:
                    fleet.named(name)  # a wrong address is told before the body is read
                body = await read_body(request.stream(), max_bytes=max_body_bytes)
                model = model_of(body)
                copies = fleet.serving(model, engine=name)
                asked = _asked(path, model, record.caller, body, request)
            except ClientDisconnect:
                record.finish()
                return Response(status_code=_CLIENT_LEFT)
            except InferenceError as error:
                record.refused(KINDS[type(error)].status)
                record.finish()
                raise
            record.model = model
            trace.get_current_span().set_attributes(
                {names.REQUEST_CLASS: record.caller.request_class.value, names.GEN_AI_REQUEST_MODEL: model}
            )
            return RelayedAnswer(Dispatch(asked, copies, choice, exchange, record), record)

        for prefix in ("", _ONE_ENGINE):
            router.add_api_route(prefix + path, relay, methods=["POST"], response_model=None)

    for path in (*_TAKING_SLOTS, _TOKENIZE):
        add(path)
    return router


def _asked(path: str, model: str, caller: Caller, body: Body, request: Request) -> Asked:
    """Return what is asked; `body` gets what the gateway decides, whatever its caller says."""
    takes_slots = path in _TAKING_SLOTS
    if takes_slots:
        body["priority"] = caller.request_class.priority
    wish = ask_for_usage(body) if takes_slots else None
    return Asked(
        path=path,
        model=model,
        caller=caller,
        content=encode_body(body),
        headers=_passed_on(request),
        takes_slots=takes_slots,
        prompts=prompts_of(body),
        answers=answers_of(body),
        wish=wish,
    )


def _passed_on(request: Request) -> dict[str, str]:
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if request_id := request.headers.get("x-request-id"):
        headers["x-request-id"] = request_id
    return headers


def _models(engines: Iterable[SupervisedEngine], created: int) -> dict[str, Any]:
    cards: dict[str, dict[str, Any]] = {}
    for engine in engines:
        for name in engine.names:
            cards.setdefault(name, _card(name, engine, created))
    return {"object": "list", "data": list(cards.values())}


def _card(name: str, engine: SupervisedEngine, created: int) -> dict[str, Any]:
    base = engine.declared.served_model_name
    card = {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "tandem",
        "max_model_len": engine.declared.max_model_len,
    }
    return card if name == base else card | {"parent": base}
