"""Makes the FastAPI app: use cases for as long as it runs, routes, problem documents, and the web page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from tandem_chat import __version__
from tandem_chat.bootstrap import bootstrap
from tandem_chat.entrypoints.http import conversations, feedback, health, personas, replies, usage
from tandem_chat.entrypoints.http.body_limit import BodyLimit
from tandem_chat.entrypoints.http.documentation import problem_schemas
from tandem_chat.entrypoints.http.openai import routes as openai
from tandem_chat.entrypoints.http.problems import install_problem_handlers
from tandem_chat.entrypoints.http.security_headers import SecurityHeaders
from tandem_chat.settings import ChatSettings
from tandem_telemetry import instrument_app

_WEB = Path(__file__).parents[2] / "web"


def create_app(settings: ChatSettings) -> FastAPI:
    """Build the app; nothing is opened before it starts up."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with bootstrap(settings) as chat:
            app.state.chat = chat
            yield

    app = _Chat(
        title="Tandem chat",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the documentation page loads scripts from elsewhere; /openapi.json stays
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    install_problem_handlers(app)
    for module in (conversations, personas, replies, feedback, usage, openai, health):
        app.include_router(module.router)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)

    app.add_middleware(SecurityHeaders)
    instrument_app(app)
    # Asked last: a mount on "/" would match every path, and hide that a known one has other methods.
    app.router.default = _WebPage(directory=_WEB, html=True)
    return app


class _Chat(FastAPI):
    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"].update(problem_schemas())
        return document


class _WebPage(StaticFiles):
    """The page's files; with any method but theirs, a path that no route has is not found."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(404)
        return await super().get_response(path, scope)
