"""Workers as the use case sees them: each with an engine of the test's, all on one database."""

import asyncio
from datetime import timedelta

from tandem_contracts import topics
from tandem_contracts.feedback import (
    FeedbackCancelRequestedV1,
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackRequestedV1,
)
from tandem_feedback.application.handle_request import HandleRequest, HandlingLimits
from tandem_feedback.application.judge import Judge
from tandem_feedback.domain.rubric import Rubric, Rubrics
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import LEASE, FeedbackBench
from tests.support.feedback_builders import WHEN, an_envelope

MAX_ATTEMPTS = 3
RUBRICS = Rubrics([Rubric("general", 1, "General", "Judge.", ("Clarity",))])


class Worker:
    """A worker process of its own, as far as the use case can tell."""

    def __init__(self, bench: FeedbackBench, engine: FakeEngine, *, lease: timedelta = LEASE) -> None:
        self.committed = 0
        self._use_case = HandleRequest(
            bench.store,
            Judge(engine, RUBRICS, "default-model"),
            HandlingLimits(lease=lease, max_attempts=MAX_ATTEMPTS),
            on_committed=self._count,
        )

    def _count(self) -> None:
        self.committed += 1

    async def handle(self, request: FeedbackRequestedV1) -> None:
        await self._use_case.handle(an_envelope(request))

    async def call_off(self, request: FeedbackRequestedV1) -> None:
        event = FeedbackCancelRequestedV1(
            request_id=request.request_id, conversation_id=request.conversation_id, requested_at=WHEN
        )
        await self._use_case.handle(an_envelope(event))


def blocked_engine() -> FakeEngine:
    return FakeEngine(gate=asyncio.Event())


def open_gate(engine: FakeEngine) -> None:
    assert engine.gate is not None
    engine.gate.set()


async def outcomes(bench: FeedbackBench) -> list[FeedbackCompletedV1 | FeedbackFailedV1]:
    events = [envelope.event for envelope in await bench.announced(topics.FEEDBACK_RESULTS)]
    assert all(isinstance(event, FeedbackCompletedV1 | FeedbackFailedV1) for event in events)
    return events  # type: ignore[return-value]  # checked in the line above
