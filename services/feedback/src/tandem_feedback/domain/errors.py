"""Every error that feedback expects, as one tree; it decides an HTTP status and the fate of a message.

PermanentError                  dead-lettered, unless it is a FeedbackFailure
├── JobNotFoundError            (HTTP only)
├── RequestMismatchError        the same request id came with another body: the first one stands
├── TooManyAttemptsError        the job killed or failed its worker too often
└── FeedbackFailure             the job fails, and the requester is told the code and the sentence
    ├── UnknownRubricError
    ├── TranscriptTooLongError  not even the last turn fits the model's window
    ├── OutputInvalidError      the model's output breaks the rubric, also after one repair
    └── EngineRefusedError      the engine calls the request itself wrong (an unknown model, say)
TransientError                  the message is held and tried again; no attempt is spent
├── EngineUnavailableError      starting, restarting, full or unreachable
└── JobTakenError               another worker holds the job now
"""

from typing import ClassVar

from tandem_messaging.errors import PermanentError, TransientError


class JobNotFoundError(PermanentError):
    """No job has this request id."""


class RequestMismatchError(PermanentError):
    """The request id is known with another body."""


class TooManyAttemptsError(PermanentError):
    """Every allowed attempt ended in a crash or a defect."""


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


class JobTakenError(TransientError):
    """Another worker is on it, and will most likely be done long before its lease ends."""
