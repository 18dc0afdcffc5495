"""HTTP around the chat service in memory: the API's routes, the web page's files, and a server on a free port."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

import uvicorn
from fastapi import Body, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from tests.support.stub_chat import Json, StubChat, StubProblem

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'; require-trusted-types-for 'script'",
    "Cache-Control": "no-cache",
}


class PageFiles(StaticFiles):
    """The page under the policy that the real service gives it: nothing from elsewhere, no markup made of text."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


@asynccontextmanager
async def serve(chat: StubChat) -> AsyncIterator[str]:
    """Gives the address under which `chat` is served, on this event loop, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(_create_app(chat), log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await chat.close()
        await serving


def _create_app(chat: StubChat) -> FastAPI:
    def ask_for_key(request: Request) -> None:
        came = request.headers.get("authorization")
        if chat.key is not None and request.url.path.startswith("/v1") and came != f"Bearer {chat.key}":
            raise StubProblem(401, "unauthenticated", "The API key is not known here.")

    app = FastAPI(openapi_url=None, dependencies=[Depends(ask_for_key)])
    app.add_exception_handler(StubProblem, _answer_problem)
    _add_conversation_routes(app, chat)
    _add_reply_routes(app, chat)
    _add_feedback_routes(app, chat)

    @app.get("/ready")
    async def ready() -> Json:
        if not chat.engine_ready:
            raise StubProblem(503, "engine_not_ready", "The engine is loading its model.")
        return {"status": "ready"}

    app.mount("/", PageFiles(directory=str(files("tandem_chat") / "web"), html=True))
    return app


def _add_conversation_routes(app: FastAPI, chat: StubChat) -> None:
    @app.post("/v1/conversations", status_code=201)
    async def create() -> Json:
        return _summary(chat.create_conversation())

    @app.get("/v1/conversations")
    async def index(limit: int = 50, cursor: int = 0) -> Json:
        newest = sorted(chat.conversations.values(), key=lambda found: found["updated_at"], reverse=True)
        end = cursor + limit
        items = [_summary(conversation) for conversation in newest[cursor:end]]
        return {"items": items, "next_cursor": str(end) if end < len(newest) else None}

    @app.get("/v1/conversations/{conversation_id}")
    async def read(conversation_id: str) -> Json:
        conversation = chat.find_conversation(conversation_id)
        return _summary(conversation) | {"messages": conversation["messages"]}

    @app.delete("/v1/conversations/{conversation_id}", status_code=204)
    async def delete(conversation_id: str) -> None:
        chat.find_conversation(conversation_id)
        del chat.conversations[conversation_id]


def _add_reply_routes(app: FastAPI, chat: StubChat) -> None:
    @app.post("/v1/conversations/{conversation_id}/messages")
    async def post_message(conversation_id: str, content: Annotated[str, Body(embed=True)]) -> Response:
        conversation = chat.find_conversation(conversation_id)
        await chat.wait_to_accept()
        reply = chat.accept_message(conversation, content)
        lost, chat.lose_next_acceptance = chat.lose_next_acceptance, False
        return StreamingResponse(
            _nothing() if lost else _reply_events(chat, conversation, reply, 0, opened=True),
            media_type="text/event-stream",
        )

    @app.post("/v1/replies/{reply_id}/retry")
    async def retry(reply_id: str) -> Response:
        conversation, reply = chat.find_reply(reply_id)
        chat.retry(conversation, reply)
        return StreamingResponse(
            _reply_events(chat, conversation, reply, 0, opened=True), media_type="text/event-stream"
        )

    @app.get("/v1/replies/{reply_id}/events")
    async def events(reply_id: str, after: int = 0) -> Response:
        conversation, reply = chat.find_reply(reply_id)
        return StreamingResponse(
            _reply_events(chat, conversation, reply, after, opened=False), media_type="text/event-stream"
        )

    @app.post("/v1/replies/{reply_id}/stop", status_code=202)
    async def stop(reply_id: str) -> Json:
        _, reply = chat.find_reply(reply_id)
        chat.stop(reply)
        return reply


def _add_feedback_routes(app: FastAPI, chat: StubChat) -> None:
    @app.post("/v1/conversations/{conversation_id}/feedback", status_code=202)
    async def ask(conversation_id: str, response: Response) -> Json:
        chat.find_conversation(conversation_id)
        feedback = chat.request_feedback(conversation_id)
        response.headers["Location"] = f"/v1/feedback/{feedback['id']}"
        return feedback

    @app.get("/v1/conversations/{conversation_id}/feedback")
    async def index(conversation_id: str) -> Json:
        chat.find_conversation(conversation_id)
        return {
            "items": [one for one in chat.feedbacks.values() if one["conversation_id"] == conversation_id]
        }

    @app.get("/v1/feedback/{feedback_id}/events")
    async def events(feedback_id: str) -> Response:
        async def states() -> AsyncIterator[str]:
            async for feedback in chat.feedback_progress(chat.feedbacks[feedback_id]):
                yield _event("feedback", feedback)

        return StreamingResponse(states(), media_type="text/event-stream")


async def _reply_events(
    chat: StubChat, conversation: Json, reply: Json, position: int, *, opened: bool
) -> AsyncIterator[str]:
    if opened:
        asked = next(message for message in reversed(conversation["messages"]) if message["role"] == "user")
        yield _event(
            "reply",
            {"conversation_id": conversation["id"], "user_message": asked, "reply": reply | {"content": ""}},
        )
    yield ": heartbeat\n\n"
    async for text, reached in chat.reply_progress(reply, position):
        position = reached
        yield _event("delta", {"text": text}, identifier=reached)
    if position < len(reply["content"]) or reply["state"] in {"queued", "running"}:
        return
    if reply["state"] == "failed":
        yield _event("problem", {"status": 502, "title": "Reply failed", **reply["error"]})
    yield _event("end", {"reply": reply})


async def _nothing() -> AsyncIterator[str]:
    events: tuple[str, ...] = ()
    for event in events:
        yield event


def _event(name: str, data: Any, *, identifier: int | None = None) -> str:
    lines = [f"event: {name}", f"data: {json.dumps(data, ensure_ascii=False)}"]
    if identifier is not None:
        lines.insert(1, f"id: {identifier}")
    return "\n".join(lines) + "\n\n"


def _summary(conversation: Json) -> Json:
    facts = {key: conversation[key] for key in ("id", "title", "created_at", "updated_at")}
    return facts | {"message_count": len(conversation["messages"])}


async def _answer_problem(request: Request, problem: Exception) -> Response:
    if not isinstance(problem, StubProblem):
        raise problem
    document = {
        "type": "about:blank",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "errors": problem.errors,
    }
    headers = {"Retry-After": "1"} if problem.status == 503 else {}
    return JSONResponse(document, problem.status, headers, "application/problem+json")
