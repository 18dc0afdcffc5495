"""What a caller of the OpenAI-compatible face may send: an allow-list, as only these fields ever reach the engine.

A field that asks for nothing (`n: 1`, `tools: []`, `presence_penalty: 0`) is let through, because many programs always send it.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tandem_chat.domain.persona import Sampling
from tandem_chat.domain.prompt import PromptMessage
from tandem_chat.entrypoints.http.schemas import NonBlankText, StorableText

_MOST_MESSAGES = 1000
_IGNORED: Final = {"user", "metadata", "store", "safety_identifier", "prompt_cache_key", "service_tier"}
# What a field says that wants what happens anyway; for all others that is nothing, zero or false.
_NEUTRAL: Final[dict[str, Any]] = {"n": 1, "response_format": {"type": "text"}, "tool_choice": "auto"}


class _Input(BaseModel):
    model_config = ConfigDict(extra="ignore")


class TextPart(BaseModel):
    """A part of a message; text is the only kind that the model reads."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: StorableText


class ChatMessage(_Input):
    """One message. System prompts are the operator's: they belong to personas."""

    role: Literal["user", "assistant"]
    content: NonBlankText | Annotated[list[TextPart], Field(min_length=1, max_length=100)]

    @property
    def prompt(self) -> PromptMessage:
        parts = self.content
        text = parts if isinstance(parts, str) else "\n".join(part.text for part in parts)
        return PromptMessage(self.role, text)


class StreamOptions(_Input):
    """How a stream is told."""

    include_usage: bool = False


class ChatCompletionRequest(BaseModel):
    """The body of `POST /v1/chat/completions`."""

    model_config = ConfigDict(extra="allow")

    model: StorableText = Field(description="A persona or the service's model; GET /v1/models lists them.")
    messages: list[ChatMessage] = Field(min_length=1, max_length=_MOST_MESSAGES)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: StorableText | Annotated[list[StorableText], Field(max_length=4)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @model_validator(mode="after")
    def _refuse_what_would_be_ignored(self) -> Self:
        asked = {name: value for name, value in (self.model_extra or {}).items() if name not in _IGNORED}
        wanted = sorted(name[:80] for name, value in asked.items() if value and value != _NEUTRAL.get(name))
        if wanted:
            raise ValueError(f"{', '.join(wanted)}: not supported here; leave it out")
        return self

    @property
    def tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def sampling(self) -> Sampling:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Sampling(self.temperature, self.top_p, self.seed, stop)

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage
