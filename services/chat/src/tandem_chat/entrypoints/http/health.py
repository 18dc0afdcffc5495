"""Routes for whoever runs the service: alive, and ready to answer users."""

from fastapi import APIRouter

from tandem_chat.domain.errors import EngineNotReadyError, EngineRefusedError
from tandem_chat.entrypoints.http.dependencies import ChatDep
from tandem_chat.entrypoints.http.documentation import problems

router = APIRouter(tags=["operation"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Say that the process answers, whatever else is down."""
    return {"status": "ok"}


@router.get("/ready", responses=problems(EngineRefusedError, EngineNotReadyError, signed_in=False))
async def ready(chat: ChatDep) -> dict[str, str]:
    """Say that the database answers and the engine serves; 503 with the reason otherwise."""
    async with chat.store.read() as transaction:
        await transaction.conversations(limit=1, before=None)
    await chat.engine.require_ready()
    return {"status": "ready"}
