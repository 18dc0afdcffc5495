"""Every error that chat expects, as one tree; `entrypoints/http/problems.py` gives each class its status.

PermanentError
├── ConversationNotFoundError
├── MessageNotFoundError
├── FeedbackNotFoundError
├── MessageTooLongError         one message alone exceeds the model's window
├── ReplyInProgressError        the conversation's last reply is still being written
├── ReplyNotRetryableError      only the last reply, and only one that did not complete
├── NothingToJudgeError         feedback asked for before there is any reply
├── UnknownPersonaError         no persona is configured under this name
├── UnknownModelError           a caller of the OpenAI-compatible face names neither the model nor a persona
├── PersonaGoneError            the conversation's persona is not configured any more
├── EngineRefusedError          the engine calls the request itself wrong
└── UnauthenticatedError        no token, or one that is wrong, expired or revoked
TransientError
├── SignInUnavailableError      the issuer's keys cannot be fetched
├── RateLimitedError            the owner's replies of this minute are used up
├── TooManyRepliesError         the owner has as many replies being written as may be
├── DailyTokensUsedError        the owner's tokens of today are used up
├── EngineNotReadyError         starting, restarting or full
└── EngineBrokeOffError         the answer ended in the middle
"""

from tandem_messaging.errors import PermanentError, TransientError


class ConversationNotFoundError(PermanentError):
    """No conversation has this id."""


class MessageNotFoundError(PermanentError):
    """No message has this id, or it is not a reply."""


class FeedbackNotFoundError(PermanentError):
    """No feedback has this id."""


class MessageTooLongError(PermanentError):
    """The message does not fit the model's window, even without any history."""


class ReplyInProgressError(PermanentError):
    """The conversation's last reply is not finished."""


class ReplyNotRetryableError(PermanentError):
    """The message is not the last reply, or it completed."""


class NothingToJudgeError(PermanentError):
    """The conversation holds no reply with text yet."""


class UnknownPersonaError(PermanentError):
    """No persona has this name."""


class UnknownModelError(PermanentError):
    """No model or persona has this name."""


class PersonaGoneError(PermanentError):
    """The conversation was made with a persona that is no longer configured."""


class EngineRefusedError(PermanentError):
    """The engine answered that the request is wrong."""


class UnauthenticatedError(PermanentError):
    """The request does not show who sends it."""


class SignInUnavailableError(TransientError):
    """Tokens cannot be checked now."""


class RateLimitedError(TransientError):
    """The owner has begun as many replies in the last minute as may be."""


class TooManyRepliesError(TransientError):
    """The owner has as many replies being written as may be."""


class DailyTokensUsedError(TransientError):
    """The owner has used the tokens of today."""


class EngineNotReadyError(TransientError):
    """The engine cannot take the request now."""


class EngineBrokeOffError(TransientError):
    """The engine's answer ended before it was complete."""
