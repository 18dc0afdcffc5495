"""Every error that feedback expects, as one tree; it decides an HTTP status and the fate of a message.

PermanentError                  dead-lettered, unless it is a FeedbackFailure
├── JobNotFoundError            (HTTP only)
├── BatchNotFoundError          (HTTP only)
├── BatchMismatchError          (HTTP only) the same batch id came with another definition
├── AlreadyFinishedError        (HTTP only) too late to cancel
├── RequestTooLargeError        (HTTP only) no message can carry it
├── WebhookRefusedError         (HTTP only) no host that the operator listed
├── UnauthorizedError           (HTTP only) the service token is missing or wrong
├── DeadLetterNotFoundError     (HTTP and command line only)
├── UnexpectedEventError        an event that nobody may send to this topic
├── RequestMismatchError        the same request id came with another body: the first one stands
├── TooManyAttemptsError        the job killed or failed its worker too often
└── FeedbackFailure             the job fails, and the requester is told the code and the sentence
    ├── UnknownRubricError
    ├── TranscriptTooLongError  not even the last turn fits the model's window
    ├── OutputInvalidError      the model's output breaks the rubric, also after one repair
    └── EngineRefusedError      the engine calls the request itself wrong (an unknown model, say)
TransientError                  the message is held and tried again; no attempt is spent
├── EngineUnavailableError      starting, restarting or unreachable
│   └── EngineBusyError         full: others of this worker may still get in
├── EngineFailedError           it broke on this request: an attempt is spent, and the next one is not now
├── AttemptPausedError          the next attempt is not due yet
├── WorkerDownError             (HTTP only) a loop of this process is not running
├── JobTakenError               another worker holds the job now
└── JobLostError                the job was taken over or ended while it was worked on
"""

from typing import ClassVar

from tandem_messaging.errors import LaterError, PermanentError, TransientError


class JobNotFoundError(PermanentError):
    """No job has this request id."""


class BatchNotFoundError(PermanentError):
    """No job belongs to this batch."""


class BatchMismatchError(PermanentError):
    """The batch id is known with another definition."""


class AlreadyFinishedError(PermanentError):
    """The job has its outcome already."""


class RequestTooLargeError(PermanentError):
    """The request is larger than an event may be."""


class WebhookRefusedError(PermanentError):
    """The operator has not listed this webhook's host."""


class UnauthorizedError(PermanentError):
    """The caller does not know the service token."""


class DeadLetterNotFoundError(PermanentError):
    """No dead letter has this id."""


class UnexpectedEventError(PermanentError):
    """The event is one of ours, but does not belong on the topic of requests."""

    code = "unexpected_event"


class RequestMismatchError(PermanentError):
    """The request id is known with another body."""

    code = "request_mismatch"


class TooManyAttemptsError(PermanentError):
    """Every allowed attempt ended in a crash or a defect."""

    code = "too_many_attempts"


class FeedbackFailure(PermanentError):  # noqa: N818 - it names an outcome: feedback.failed
    """The feedback cannot be written; `code` travels in the event."""

    code: ClassVar[str]


class UnknownRubricError(FeedbackFailure):
    """No rubric has this id and version."""

    code = "unknown_rubric"


class TranscriptTooLongError(FeedbackFailure):
    """The transcript does not fit, however many turns are left out."""

    code = "transcript_too_long"


class OutputInvalidError(FeedbackFailure):
    """The model did not keep to the rubric."""

    code = "output_invalid"


class EngineRefusedError(FeedbackFailure):
    """The engine refused the request for good."""

    code = "engine_refused"


class EngineUnavailableError(TransientError):
    """The engine cannot take the request now."""


class EngineBusyError(EngineUnavailableError):
    """The engine works, and its queue has no room for this request now."""


class EngineFailedError(LaterError):
    """The engine answers others, and an error of its own to this request."""


class AttemptPausedError(LaterError):
    """A failed attempt is not long enough ago."""


class WorkerDownError(TransientError):
    """A background loop of this process has died and is about to be started again."""


class JobTakenError(TransientError):
    """Another worker is on it, and will most likely be done long before its lease ends."""


class JobLostError(TransientError):
    """The claim ended under the worker's hands."""
