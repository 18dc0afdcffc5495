"""Runs one request's dispatch as a response of this service, and ends it the moment that its caller leaves."""

import asyncio
import logging
import time

from fastapi import Response
from starlette.types import Receive, Scope, Send

from tandem_inference import metrics
from tandem_inference.errors import InferenceError
from tandem_inference.gateway.dispatch import Dispatch
from tandem_inference.gateway.openai_errors import KINDS, error_response
from tandem_inference.gateway.request_record import RequestRecord
from tandem_telemetry import names

logger = logging.getLogger(__name__)


class RelayedAnswer(Response):
    """The engine's answer to one request. A caller that leaves, in any phase, frees its place or slot at once."""

    def __init__(self, dispatch: Dispatch, record: RequestRecord) -> None:
        super().__init__()
        self._dispatch = dispatch
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        relaying = asyncio.create_task(self._relay(scope, receive, send))
        leaving = asyncio.create_task(_until_disconnect(receive))
        try:
            await asyncio.wait({relaying, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left = None if relaying.done() or not leaving.done() else leaving.result()
            relaying.cancel()  # closes the engine's connection, which makes the engine abort the request
            leaving.cancel()
            await asyncio.gather(relaying, leaving, return_exceptions=True)
            if left is not None:
                facts = {names.REQUEST_CLASS: self._record.caller.request_class}
                metrics.DISCONNECT_TO_FREE.record(time.perf_counter() - left, facts)
            self._record.finish()
        if not relaying.cancelled():
            relaying.result()

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._dispatch.run(send)
        except InferenceError as error:  # what happens after the first byte is told inside the stream
            self._record.refused(KINDS[type(error)].status)
            await error_response(error)(scope, receive, send)


async def _until_disconnect(receive: Receive) -> float:
    """Return when the caller left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    return time.perf_counter()
