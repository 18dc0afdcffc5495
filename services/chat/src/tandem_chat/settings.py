"""Chat's settings: read once from the environment (prefix `TANDEM_CHAT_`) and an optional `.env`, then never changed."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ChatSettings(BaseSettings):
    """Every setting of the chat service. Times in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="TANDEM_CHAT_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Anything but loopback needs sign-in or TANDEM_CHAT_TRUST_NETWORK.",
    )
    trust_network: bool = Field(
        default=False,
        description="Whoever reaches the address may use it: it is on a private network, such as a container's, and published on loopback or behind a proxy that authenticates.",
    )
    api_keys: bool = Field(
        default=False,
        description="Callers sign in with API keys; `tandem-chat keys create` makes them. Without any way to sign in, everybody is one owner.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="OpenID Connect issuer whose tokens are accepted (`iss`); audience and keys are needed with it.",
    )
    oidc_audience: str | None = Field(default=None, description="The audience (`aud`) that tokens must name.")
    oidc_jwks_url: HttpUrl | None = Field(
        default=None, description="Where the issuer publishes its keys: `jwks_uri` of its discovery document."
    )
    replies_per_minute: int | None = Field(
        default=60, ge=1, description="Replies that each owner may begin in a minute, where people sign in."
    )
    replies_at_once: int | None = Field(
        default=8, ge=1, description="Replies that each owner may have being written, where people sign in."
    )
    tokens_per_day: int | None = Field(
        default=None,
        ge=1,
        description="Tokens, read and written, that each owner may use in a day (UTC); empty is no limit.",
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
    personas_file: Path | None = Field(
        default=None,
        description="TOML file of personas: named presets of system prompt, model or adapter, and sampling.",
    )
    feedback_rubric: str = Field(
        default="general",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Rubric of a feedback for which the caller names none.",
    )
    feedback_rubric_version: int | None = Field(
        default=1,
        ge=1,
        description="Its version; empty takes the newest. `general` 1 asks for one score, which a very small model manages too; 2 asks for one per criterion.",
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

    def __init__(self, **values: Any) -> None:
        super().__init__(**{"_secrets_dir": _secrets_folder(), **values})

    @model_validator(mode="before")
    @classmethod
    def _need_the_secrets_folder(cls, values: Any) -> Any:
        named = os.environ.get("TANDEM_SECRETS_DIR")
        if named and _secrets_folder() is None:  # without it, a default would silently take a secret's place
            raise ValueError(f"TANDEM_SECRETS_DIR: expected a folder with files of secrets, got {named!r}")
        return values

    @model_validator(mode="after")
    def _guard_other_addresses(self) -> Self:
        if self.listens_without_sign_in and not self.trust_network:
            raise ValueError(
                f"TANDEM_CHAT_HOST: expected a loopback address while nobody has to sign in, got {self.host!r}; set "
                "TANDEM_CHAT_API_KEYS=true or the TANDEM_CHAT_OIDC_* settings, or TANDEM_CHAT_TRUST_NETWORK=true where "
                "only trusted programs reach it"
            )
        return self

    @model_validator(mode="after")
    def _need_the_whole_issuer(self) -> Self:
        parts = {
            "TANDEM_CHAT_OIDC_ISSUER": self.oidc_issuer,
            "TANDEM_CHAT_OIDC_AUDIENCE": self.oidc_audience,
            "TANDEM_CHAT_OIDC_JWKS_URL": self.oidc_jwks_url,
        }
        missing = [name for name, value in parts.items() if value is None]
        if missing and len(missing) < len(parts):
            raise ValueError(f"{', '.join(missing)}: expected too, as the others of the three are set")
        url = self.oidc_jwks_url
        if url is not None and url.scheme != "https" and not _is_loopback(url.host or ""):
            raise ValueError(f"TANDEM_CHAT_OIDC_JWKS_URL: expected https, got {str(url)!r}")
        return self

    @property
    def requires_sign_in(self) -> bool:
        return self.api_keys or self.oidc_issuer is not None

    @property
    def listens_without_sign_in(self) -> bool:
        return not self.requires_sign_in and not _is_loopback(self.host)


def _secrets_folder() -> Path | None:
    folder = os.environ.get("TANDEM_SECRETS_DIR")
    return Path(folder) if folder and Path(folder).is_dir() else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
