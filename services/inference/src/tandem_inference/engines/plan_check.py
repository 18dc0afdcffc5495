"""After a start: the planner's numbers for an engine beside those that the engine logged, kept for later calibration.

Only the comparison; when it happens and who is shown it is decided by the supervisor and by `GET /engines`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem_inference.engines.declaration import Engine
from tandem_inference.planner.errors import InvalidValueError, PlannerError
from tandem_inference.planner.estimate import Estimate, estimate
from tandem_inference.planner.gpus import Gpu, all_gpus, find_gpu
from tandem_inference.planner.installed_cards import installed_cards
from tandem_inference.planner.releases import DEFAULT_VERSION
from tandem_inference.planner.reported.log_parser import parse_log
from tandem_inference.planner.reported.runtime import StartComparison, compare_start, keep
from tandem_inference.planner.several.declaration import read_engines
from tandem_inference.planner.sources import load_shape

logger = logging.getLogger(__name__)

_CPU_BUILD = ("device_config=cpu", "CPU KV cache size:")


@dataclass(frozen=True)
class PlanOutcome:
    """One start's comparison, or the reason why there is none: exactly one of the two."""

    comparison: StartComparison | None = None
    gpu: str | None = None
    skipped: str | None = None

    def as_json(self) -> dict[str, Any]:
        if self.comparison is None:
            return {"skipped": self.skipped}
        return {"skipped": None, "gpu": self.gpu, **self.comparison.as_json()}


class _SkippedError(Exception):
    """There is nothing to compare; the text says why."""


class PlanCheck:
    """Compares starts on the card called `gpu` (None: the one that the driver names); keeps rows in `history`, if given."""

    def __init__(self, gpu: str | None = None, history: Path | None = None) -> None:
        self._gpu = gpu
        self._history = history

    def compare(self, engine: Engine, lines: Sequence[str]) -> PlanOutcome:
        """Compare, log and keep. Blocks for a moment; never raises, as no mistake here is the engine's."""
        try:
            outcome = self._compare(engine, "\n".join(lines))
        except (_SkippedError, PlannerError) as reason:
            logger.info("engine.plan_skipped", extra={"engine": engine.name, "reason": str(reason)})
            return PlanOutcome(skipped=str(reason))
        except Exception as error:
            logger.exception("engine.plan_failed", extra={"engine": engine.name})
            return PlanOutcome(skipped=f"comparing failed, the service's log tells more: {error}")
        if outcome.comparison is not None:
            logger.info("engine.plan_compared", extra=outcome.comparison.log_fields() | {"gpu": outcome.gpu})
            self._keep(outcome.comparison)
        return outcome

    def _compare(self, engine: Engine, log: str) -> PlanOutcome:
        if any(mark in log for mark in _CPU_BUILD):
            raise _SkippedError("the engine runs on vLLM's CPU build; the planner plans NVIDIA cards")
        gpu = self._card()
        version = parse_log(log).row.vllm_version or DEFAULT_VERSION
        comparison = compare_start(engine.name, plan_of(engine, gpu, vllm_version=version), log)
        if not comparison.pairs:
            raise _SkippedError("the engine's output since its start has none of the sizes that vLLM logs")
        return PlanOutcome(comparison, gpu.id)

    def _card(self) -> Gpu:
        setting = "set TANDEM_INFERENCE_GPU to the name of its card"
        names = {self._gpu} if self._gpu else set(installed_cards())
        if not names:
            raise _SkippedError(f"nvidia-smi names no card on this machine; if there is one, {setting}")
        if len(names) > 1:
            raise _SkippedError(
                f"this machine has different cards ({', '.join(sorted(names))}); {setting}, if all engines use that one"
            )
        (name,) = names
        try:
            return find_gpu(name)
        except InvalidValueError:
            whose = "TANDEM_INFERENCE_GPU" if self._gpu else "nvidia-smi"
            known = ", ".join(one.id for one in all_gpus())
            raise _SkippedError(
                f"{name!r:.60}, which {whose} names, is not among the planner's cards: {known}"
            ) from None

    def _keep(self, comparison: StartComparison) -> None:
        if self._history is None:
            return
        try:
            keep(self._history, comparison.reported)
        except OSError as error:
            facts = {"engine": comparison.engine, "file": str(self._history), "reason": str(error)}
            logger.warning("engine.plan_not_kept", extra=facts)


def plan_of(engine: Engine, gpu: Gpu, *, vllm_version: str, hub: bool = True) -> Estimate:
    """The planner's estimate of a declared engine. Asks the hub, if allowed, for a model that is neither a folder nor catalogued.

    Raises:
        PlannerError: the model or one of its flags is beyond the planner.
    """
    fields = engine.model_dump(exclude_none=True, exclude={"environment", "adapters"})
    if (room := engine.lora) is not None:
        fields |= {"max_loras": room.slots, "max_lora_rank": room.rank}
    (view,) = read_engines([fields])
    shape = load_shape(engine.model, hub=hub, revision=engine.revision or "main")
    return estimate(shape, gpu, view.flags(vllm_version=vllm_version))
