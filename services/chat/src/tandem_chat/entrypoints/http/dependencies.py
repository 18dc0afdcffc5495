"""Hands each handler the use cases of whoever calls, and the settings, which live as long as the app.

Handlers get at conversations in no other way, so that none can forget to ask whose they are.
"""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tandem_chat.bootstrap import Chat, UseCases
from tandem_chat.entrypoints.http.schemas import StorableText
from tandem_chat.settings import ChatSettings

# Any text may be looked for, and is not found, as long as a database can be asked for it.
ResourceId = StorableText

_bearer = HTTPBearer(
    auto_error=False,
    description="An API key or a token of the issuer; not asked for where nobody has to sign in.",
)


def _chat(request: Request) -> Chat:
    chat: Chat = request.app.state.chat
    return chat


def _settings(request: Request) -> ChatSettings:
    settings: ChatSettings = request.app.state.settings
    return settings


ChatDep = Annotated[Chat, Depends(_chat)]
SettingsDep = Annotated[ChatSettings, Depends(_settings)]


async def _use_cases(
    chat: ChatDep, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> UseCases:
    return chat.owned_by(await chat.authenticate.owner_of(bearer.credentials if bearer else None))


UseCasesDep = Annotated[UseCases, Depends(_use_cases)]
