"""Every error that this service raises on purpose; HTTP statuses are given in `gateway/openai_errors.py`.

InferenceError
├── PermanentError              trying again changes nothing
│   ├── StartError              the service cannot start: settings, files, ports; told in one sentence, then exit code 2
│   ├── SmallModelError         the small model cannot be made
│   └── InvalidRequestError     the caller has to change the request
│       ├── UnknownModelError
│       ├── UnknownEngineError
│       ├── BodyTooLargeError
│       └── UnauthorizedError
└── TransientError              the same request may succeed after `retry_after_seconds`
    ├── EngineNotReadyError
    ├── QueueFullError          as many requests wait as may
    ├── QueueTimeoutError       a request waited as long as it may
    └── DeadlineExceededError   a request cannot be answered by its deadline, and was not begun
"""


class InferenceError(Exception):
    """Root of the tree; its text is written for the person who has to act on it."""


class PermanentError(InferenceError):
    """Trying again without a change gives the same result."""


class StartError(PermanentError):
    """The service cannot start as it is configured."""


class SmallModelError(PermanentError):
    """The small model cannot be made here."""


class InvalidRequestError(PermanentError):
    """The request is at fault. `param` names the field, where one is to blame."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownModelError(InvalidRequestError):
    """No engine serves the model that the request names."""


class UnknownEngineError(InvalidRequestError):
    """No engine has the name that the path gives."""


class BodyTooLargeError(InvalidRequestError):
    """The request's body is over the limit."""


class UnauthorizedError(InvalidRequestError):
    """The service token is missing or wrong."""


class TransientError(InferenceError):
    """The same request may succeed later."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class EngineNotReadyError(TransientError):
    """The engine that serves the model is not answering yet, or no longer."""


class QueueFullError(TransientError):
    """As many requests of the class wait for the engine as may."""


class QueueTimeoutError(TransientError):
    """The request waited as long as its class may, and was not begun."""


class DeadlineExceededError(TransientError):
    """The request cannot be answered by its deadline, and was not begun."""
