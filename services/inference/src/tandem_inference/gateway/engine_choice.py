"""Which of the engines that serve a model gets a request, and the door to it."""

from collections.abc import Mapping, Sequence

from tandem_inference.engines.engine_state import FINE, EngineState
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.gateway.admission.admission import Admission


class EngineChoice:
    """Chooses by state first, then by the share of free slots."""

    def __init__(self, admissions: Mapping[str, Admission]) -> None:
        self._admissions = admissions

    def admission(self, engine: SupervisedEngine) -> Admission:
        """Return the door to `engine`."""
        return self._admissions[engine.declared.name]

    def best(self, copies: Sequence[SupervisedEngine]) -> SupervisedEngine:
        """Return the copy that answers soonest: a ready one, else one that sleeps or wakes.

        Raises:
            EngineNotReadyError: all of them are starting or gone.
        """
        engine = max(copies, key=self._promise) if len(copies) > 1 else copies[0]
        if engine.state not in FINE:
            raise engine.not_ready()
        return engine

    def other_ready(
        self, copies: Sequence[SupervisedEngine], dead: SupervisedEngine
    ) -> SupervisedEngine | None:
        """Return the best ready copy but `dead`, None when there is none."""
        others = [copy for copy in copies if copy is not dead and copy.state is EngineState.READY]
        return max(others, key=self._promise, default=None)

    def _promise(self, engine: SupervisedEngine) -> tuple[bool, bool, float]:
        return (
            engine.state is EngineState.READY,
            engine.state in FINE,
            self.admission(engine).free_share,
        )
