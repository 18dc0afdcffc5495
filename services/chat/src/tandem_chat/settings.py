"""Chat's settings: read once from the environment (prefix `TANDEM_CHAT_`) and an optional `.env`, then never changed."""

from ipaddress import ip_address
from typing import Self

from pydantic import Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ChatSettings(BaseSettings):
    """Every setting of the chat service. Times in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="TANDEM_CHAT_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. Only loopback: there is no sign-in yet."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///.run/data/chat.db"),
        description="SQLAlchemy address: `sqlite+aiosqlite:///file` or `postgresql+asyncpg://user:password@host/name`.",
    )
    inference_url: HttpUrl = Field(
        default=HttpUrl("http://127.0.0.1:8800"), description="Address of the inference service."
    )
    inference_token: SecretStr | None = Field(
        default=None, description="Service token of the inference service, where it asks for one."
    )
    model: str = Field(
        default="smollm2-135m-instruct", description="Model or adapter that writes the replies."
    )
    temperature: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="Sampling temperature of replies; empty leaves it to the model's own default.",
    )
    max_reply_tokens: int = Field(default=512, ge=1, description="Longest reply, in the model's tokens.")
    max_message_chars: int = Field(
        default=8000, ge=1, le=100_000, description="Longest message, in characters."
    )
    max_body_bytes: int = Field(default=262_144, ge=1024, description="Largest request body.")
    wait_for_engine_seconds: float = Field(
        default=60,
        ge=0,
        description="How long a stored reply waits for an engine that is busy or restarting.",
    )
    pubsub_project: str = Field(default="tandem-local", description="Google Cloud project of the topics.")
    sweep_every_seconds: float = Field(default=5, gt=0, description="How often lost work is looked for.")
    reannounce_after_seconds: float = Field(
        default=60,
        gt=0,
        description="How long a feedback may stay without outcome before it is announced again; doubles each time.",
    )

    @model_validator(mode="after")
    def _stay_on_loopback(self) -> Self:
        if not _is_loopback(self.host):
            raise ValueError(
                f"TANDEM_CHAT_HOST: expected a loopback address while chat has no sign-in, got {self.host!r}; "
                "put a proxy that authenticates in front of it"
            )
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
