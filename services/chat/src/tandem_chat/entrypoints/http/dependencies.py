"""Hands the use cases and settings, which live as long as the app, to the handlers."""

from typing import Annotated

from fastapi import Depends, Request

from tandem_chat.bootstrap import UseCases
from tandem_chat.entrypoints.http.schemas import StorableText
from tandem_chat.settings import ChatSettings

# Any text may be looked for, and is not found, as long as a database can be asked for it.
ResourceId = StorableText


def _use_cases(request: Request) -> UseCases:
    use_cases: UseCases = request.app.state.use_cases
    return use_cases


def _settings(request: Request) -> ChatSettings:
    settings: ChatSettings = request.app.state.settings
    return settings


UseCasesDep = Annotated[UseCases, Depends(_use_cases)]
SettingsDep = Annotated[ChatSettings, Depends(_settings)]
