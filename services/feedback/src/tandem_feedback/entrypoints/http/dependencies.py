"""Hands the worker's use cases to the handlers, and says who may call them."""

from typing import Annotated

from fastapi import Depends, Request

from tandem_feedback.bootstrap import Worker
from tandem_feedback.entrypoints.http.service_token import require_service_token

GUARDED = [Depends(require_service_token)]


def _worker(request: Request) -> Worker:
    worker: Worker = request.app.state.worker
    return worker


WorkerDep = Annotated[Worker, Depends(_worker)]
