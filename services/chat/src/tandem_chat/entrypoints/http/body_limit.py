"""Refuses request bodies that are too large, before anything reads them into memory."""

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem_chat.entrypoints.http.problems import problem_response
from tandem_contracts.problem import Problem

# Closing a connection while its caller still sends resets it, and the caller never reads the refusal.
_LISTEN_ON_SECONDS = 2.0


class BodyLimit:
    """ASGI middleware: 413 for a body over `max_bytes`, whether its length is declared or found out."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            await self._hear_out(receive)
            await self._refuse(scope, receive, send)
            return
        received = 0
        more = True
        started = refused = False

        async def limited_receive() -> Message:
            nonlocal received, refused, more
            message = await receive()
            more = message.get("more_body", False)
            received += len(message.get("body", b""))
            refused = refused or (received > self._max_bytes and not started)
            # To the app it looks as if the caller had left; an error of ours would not pass the framework unchanged.
            return {"type": "http.disconnect"} if refused else message

        async def send_unless_refused(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        try:
            await self._app(scope, limited_receive, send_unless_refused)
        except ClientDisconnect:
            if not refused:
                raise
        if refused:
            if more:
                await self._hear_out(receive)
            await self._refuse(scope, receive, send)

    async def _hear_out(self, receive: Receive) -> None:
        """Take in what is still being sent, as much as a body may have, and keep nothing of it."""
        heard = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_ON_SECONDS):
                more = True
                while more and heard <= self._max_bytes:
                    message = await receive()
                    heard += len(message.get("body", b""))
                    more = message.get("more_body", False)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(
            title="Content Too Large",
            status=413,
            detail=f"body: expected at most {self._max_bytes} bytes; send less",
            code="body_too_large",
            instance=scope["path"],
        )
        await problem_response(problem, {"Connection": "close"})(scope, receive, send)
