"""Faults planted inside a worker process before it starts: death at a named step, lost answers, a clock that is wrong.

The product has no switches for these; its own functions are wrapped from outside.
"""

import asyncio
import datetime as dt
import os
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from tandem_feedback.adapters.inference import InferenceGateway
from tandem_feedback.adapters.sql.store import SqlTransaction
from tandem_feedback.application.handle_request import HandleRequest
from tandem_messaging import relay
from tandem_messaging.errors import BrokerUnavailableError
from tandem_messaging.pubsub import PubSubPublisher, PubSubSubscriber

PLANNED_DEATH = 77
_MID_GENERATION_SECONDS = 0.05
Step = Callable[..., Awaitable[Any]]

# Where a worker may die: name of the step, whose function, before or after it (a transaction commits after its block).
CRASH_POINTS: dict[str, tuple[Any, str, str]] = {
    "messages pulled": (PubSubSubscriber, "pull", "after"),
    "request accepted, not committed": (SqlTransaction, "accept", "after"),
    "request committed": (HandleRequest, "_is_over", "after"),
    "job claimed, not committed": (SqlTransaction, "claim", "after"),
    "claim committed": (HandleRequest, "_attempt", "before"),
    "engine asked for the size": (InferenceGateway, "measure", "after"),
    "engine generates": (InferenceGateway, "generate", "during"),
    "engine has answered": (InferenceGateway, "generate", "after"),
    "outcome written, not committed": (SqlTransaction, "finish", "after"),
    "outcome committed": (HandleRequest, "_finish", "after"),
    "about to acknowledge": (PubSubSubscriber, "acknowledge", "before"),
    "acknowledged": (PubSubSubscriber, "acknowledge", "after"),
    "event claimed by the relay": (PubSubPublisher, "publish", "before"),
    "event published": (PubSubPublisher, "publish", "after"),
    "event removed, not committed": (relay, "remove_published", "after"),
    "event removed": (relay.Relay, "_forget", "after"),
}


def prepare(faults: dict[str, Any]) -> None:
    """Plant what `faults` asks for in this process, for as long as it lives."""
    if point := faults.get("crash_at"):
        crash_at(point, on_pass=faults.get("on_pass", 1))
    if share := faults.get("lose_publish_answers"):
        lose_publish_answers(share, random.Random(faults.get("seed", 0)))
    if seconds := faults.get("clock_offset_seconds"):
        set_clock_wrong(seconds)


def crash_at(point: str, *, on_pass: int) -> None:
    """End this process without any farewell when the step is passed for the given time."""
    place, name, when = CRASH_POINTS[point]
    step: Step = getattr(place, name)
    passes = 0

    async def passing(*arguments: Any, **named: Any) -> Any:
        nonlocal passes
        if when == "after" and not (result := await step(*arguments, **named)) and name == "pull":
            return result  # nothing pulled, nothing to lose
        passes += 1
        if passes >= on_pass:
            if when == "during":
                working = asyncio.ensure_future(step(*arguments, **named))
                await asyncio.wait([working], timeout=_MID_GENERATION_SECONDS)
            os._exit(PLANNED_DEATH)
        return result if when == "after" else await step(*arguments, **named)

    setattr(place, name, passing)


def lose_publish_answers(share: float, chance: random.Random) -> None:
    """Let that share of publishes arrive and tell the worker that they did not."""
    publish: Step = PubSubPublisher.publish

    async def losing(*arguments: Any, **named: Any) -> None:
        await publish(*arguments, **named)
        if chance.random() < share:
            raise BrokerUnavailableError("the answer was lost on its way (a drill)")

    PubSubPublisher.publish = losing  # type: ignore[method-assign]


def set_clock_wrong(seconds: float) -> None:
    """Make every module of Tandem read a clock that is `seconds` ahead."""
    offset = dt.timedelta(seconds=seconds)

    class WrongClock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime.now(tz) + offset

    for name, module in list(sys.modules.items()):
        if name.startswith("tandem_") and getattr(module, "datetime", None) is dt.datetime:
            module.datetime = WrongClock  # type: ignore[attr-defined]
