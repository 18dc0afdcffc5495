"""One engine as `GET /engines` tells it: what it serves, how it is, its slots, its own numbers, and its plan."""

from dataclasses import asdict
from typing import Any

from tandem_inference.engines.adapter_status import AdapterStatus
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.gateway.admission.snapshot import AdmissionSnapshot
from tandem_inference.observation.engine_page import EngineNumbers


def engine_document(
    engine: SupervisedEngine, admission: AdmissionSnapshot, numbers: EngineNumbers
) -> dict[str, Any]:
    """Return the document. What cannot be had now is null, and a field beside it says why."""
    start, plan = engine.start, engine.plan
    return {
        "name": engine.declared.name,
        "model": engine.declared.served_model_name,
        "models": [_base_model(engine), *map(_adapter_model, engine.adapters.statuses)],
        "state": engine.state,
        "pid": start and start.process_group,
        "restarts": engine.restarts,
        "last_error": engine.last_error,
        "proposal": engine.proposal,
        "running_seconds": start and start.running_seconds,
        "start_seconds": start and start.start_seconds,
        "ready_seconds": start and start.ready_seconds,
        "slots": {
            "total": admission.slots,
            "free": admission.free,
            "background_limit": admission.background_limit,
            "interactive": asdict(admission.interactive),
            "background": asdict(admission.background),
        },
        "reported": numbers.as_json(),
        "plan": plan and plan.as_json(),
    }


def _base_model(engine: SupervisedEngine) -> dict[str, Any]:
    return {
        "name": engine.declared.served_model_name,
        "kind": "base",
        "model": engine.declared.model,
        "revision": engine.declared.revision,
        "state": engine.state,
        "reason": engine.last_error,
    }


def _adapter_model(status: AdapterStatus) -> dict[str, Any]:
    return {"kind": "adapter", **status.as_json()}
