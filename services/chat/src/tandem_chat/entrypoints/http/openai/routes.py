"""`POST /v1/chat/completions` and `GET /v1/models`: any program that speaks OpenAI's API can use the personas as models."""

import time
from typing import Any, Final

from fastapi import APIRouter, Response

from tandem_chat.application.answer_once import Wish
from tandem_chat.bootstrap import Chat
from tandem_chat.domain.errors import (
    EngineNotReadyError,
    EngineRefusedError,
    MessageTooLongError,
    UnknownModelError,
)
from tandem_chat.domain.persona import DEFAULT_PERSONA, Persona
from tandem_chat.entrypoints.http.dependencies import ChatDep, SettingsDep, UseCasesDep
from tandem_chat.entrypoints.http.documentation import openai_errors
from tandem_chat.entrypoints.http.openai.answers import Completion
from tandem_chat.entrypoints.http.openai.schemas import ChatCompletionRequest
from tandem_chat.entrypoints.http.usage import LIMIT_ERRORS, rate_headers

router = APIRouter(prefix="/v1", tags=["openai"])

_STARTED: Final = int(time.time())


@router.get("/models", responses=openai_errors())
async def list_models(chat: ChatDep, settings: SettingsDep, use_cases: UseCasesDep) -> dict[str, Any]:
    """List the service's model and its personas."""
    names = dict.fromkeys([settings.model, *chat.personas.all])
    cards = [{"id": name, "object": "model", "created": _STARTED, "owned_by": "tandem"} for name in names]
    return {"object": "list", "data": cards}


@router.post(
    "/chat/completions",
    response_model=None,
    responses=openai_errors(
        UnknownModelError, MessageTooLongError, *LIMIT_ERRORS, EngineRefusedError, EngineNotReadyError
    ),
)
async def complete(
    chat: ChatDep, settings: SettingsDep, use_cases: UseCasesDep, body: ChatCompletionRequest
) -> Response:
    """Answer messages that the caller keeps; nothing of them is stored."""
    persona = _persona(chat, settings.model, body.model)
    wish = Wish(persona, [message.prompt for message in body.messages], body.tokens, body.sampling)
    completion = Completion(
        use_cases.answer_once, wish, body.model, stream=body.stream, usage=body.wants_usage
    )
    completion.headers.update(await rate_headers(use_cases))
    return completion


def _persona(chat: Chat, own_model: str, model: str) -> Persona:
    personas = chat.personas.all
    if model == own_model:
        return personas[DEFAULT_PERSONA]
    if model not in personas:
        known = ", ".join(dict.fromkeys([own_model, *personas]))
        raise UnknownModelError(f"model: expected one of {known}, got {model[:80]!r}")
    return personas[model]
