"""What feedback's use cases need from outside: a store of jobs and an engine. `adapters` has the real ones."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from tandem_contracts.feedback import FeedbackOutcome, FeedbackRequestedV1
from tandem_feedback.domain.job import Claim, Job

ChatMessages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Generation:
    """One answer of the engine."""

    text: str
    truncated: bool
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class PromptSize:
    """A prompt as the engine counts it, with all that its template adds."""

    prompt_tokens: int
    window_tokens: int

    @property
    def free_tokens(self) -> int:
        """What is left for the answer; negative when the prompt does not even fit."""
        return self.window_tokens - self.prompt_tokens


@dataclass(frozen=True)
class ServedModel:
    """What answers to a model's name: a base model, or an adapter on one."""

    model: str
    adapter: str | None = None


class Engine(Protocol):
    """The language model behind the inference gateway, used in the background class.

    Every method raises EngineUnavailableError when waiting helps and EngineRefusedError when it does not.
    """

    async def identify(self, name: str) -> ServedModel:
        """Tell whether `name` is a model or an adapter; an unknown name is taken for a model."""

    async def measure(self, model: str, messages: ChatMessages) -> PromptSize:
        """Count the prompt's tokens exactly."""

    async def generate(
        self,
        model: str,
        messages: ChatMessages,
        *,
        schema: dict[str, Any],
        max_tokens: int,
        seed: int,
        temperature: float,
    ) -> Generation:
        """Generate JSON that keeps to `schema`. Cancelling frees the engine's slot at once."""

    async def require_ready(self) -> None:
        """Return when the engine serves; raises EngineUnavailableError otherwise."""


class Transaction(Protocol):
    """Reading and writing of jobs that become visible together."""

    async def now(self) -> datetime:
        """Return the time that leases are measured by."""

    async def job(self, request_id: str) -> Job:
        """Raises JobNotFoundError."""

    async def accept(self, request: FeedbackRequestedV1) -> Job:
        """Return the job of this request, made now if it is new. Raises RequestMismatchError for another body."""

    async def claim(self, request_id: str, *, owner: str, lease: timedelta) -> Claim:
        """Take the job to work on it; raises JobTakenError while another owner's lease holds."""

    async def renew(self, claim: Claim, *, lease: timedelta) -> bool:
        """Keep the claim; False when somebody else has taken the job since."""

    async def give_back(self, claim: Claim, *, count_attempt: bool) -> None:
        """End the claim without an outcome; an attempt that was only waiting is not counted."""

    async def finish(self, claim: Claim, outcome: FeedbackOutcome) -> bool:
        """Store the outcome and its event together; False, and nothing stored, when the claim no longer holds."""

    async def announce(self, outcome: FeedbackOutcome) -> None:
        """Publish an outcome that is stored already once more."""

    async def requeue_abandoned(self, *, older_than: timedelta, limit: int) -> Sequence[str]:
        """Publish requests again that nobody has worked on for `older_than`; return their ids."""


class Store(Protocol):
    """Feedback's database."""

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction for reading."""

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction that commits when the block ends, and rolls back when the block raises."""
