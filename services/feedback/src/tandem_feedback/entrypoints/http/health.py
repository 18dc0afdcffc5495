"""Routes for whoever runs the service: alive, and ready to work."""

from fastapi import APIRouter

from tandem_feedback.domain.errors import EngineFailedError, EngineUnavailableError, WorkerDownError
from tandem_feedback.entrypoints.http.dependencies import WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems

router = APIRouter(tags=["operation"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Say that the process answers, whatever else is down."""
    return {"status": "ok"}


@router.get("/ready", responses=problems(EngineUnavailableError, EngineFailedError, WorkerDownError))
async def ready(worker: WorkerDep) -> dict[str, str]:
    """Say that the database answers, every loop runs and the engine serves; 503 with the reason otherwise."""
    if worker.loops.down:
        told = ", ".join(f"{name} ({error})" for name, error in worker.loops.down.items())
        raise WorkerDownError(f"not running at this moment, to be started again: {told}")
    async with worker.store.read() as transaction:
        await transaction.now()
    await worker.engine.require_ready()
    return {"status": "ready"}
