"""Feedback's settings: read once from the environment (prefix `TANDEM_FEEDBACK_`) and an optional `.env`, then never changed."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class FeedbackSettings(BaseSettings):
    """Every setting of the feedback service. Times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="TANDEM_FEEDBACK_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    host: str = Field(
        default="127.0.0.1",
        description="Address of the HTTP face. Anything but loopback needs a service token, or TANDEM_FEEDBACK_TRUST_NETWORK.",
    )
    service_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token that callers of /v1 have to send. Without one, only loopback is served.",
    )
    trust_network: bool = Field(
        default=False,
        description="Whoever reaches the HTTP face may read it: it is on a private network, such as a container's, and not published.",
    )
    port: int = Field(default=8010, ge=0, le=65535, description="Port of the HTTP face; 0 takes a free one.")
    database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///.run/data/feedback.db"),
        description="SQLAlchemy address: `sqlite+aiosqlite:///file` or `postgresql+asyncpg://user:password@host/name`.",
    )
    inference_url: HttpUrl = Field(
        default=HttpUrl("http://127.0.0.1:8800"), description="Address of the inference service."
    )
    inference_token: SecretStr | None = Field(
        default=None, description="Service token of the inference service, where it asks for one."
    )
    model: str = Field(
        default="smollm2-135m-instruct",
        description="Model or adapter that judges, unless a request names one.",
    )
    pubsub_project: str = Field(default="tandem-local", description="Google Cloud project of the topics.")
    slots: int = Field(default=4, ge=1, le=256, description="Requests worked on at once by this process.")
    lease_seconds: int = Field(
        default=20,
        ge=3,
        le=600,
        description="How long a request stays taken after its worker was last heard of.",
    )
    drain_seconds: float = Field(
        default=25,
        ge=0,
        description="How long a stopping worker may take in all: it finishes or gives back what it holds. A spot VM gives 30.",
    )
    max_attempts: int = Field(
        default=5,
        ge=1,
        description="Attempts that may end in a crash, a defect or an engine's error before a request fails for good.",
    )
    webhook_hosts: str = Field(
        default="",
        description="Hosts that webhooks may go to, as `host` or `host:port`, with commas between; without any there are no webhooks.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, min_length=16, description="Key that webhooks are signed with (HMAC-SHA256)."
    )
    dead_letters_kept_days: float = Field(
        default=14, gt=0, description="Days after which a dead letter is deleted."
    )
    rubrics_dir: Path | None = Field(
        default=None, description="Folder with rubric files of your own, beside those that ship."
    )
    batch_in_flight: int = Field(
        default=16,
        ge=1,
        le=10_000,
        description="Judgements of one batch that stand in the queue at once; the others let new requests go first.",
    )
    deadline_seconds: float = Field(
        default=86_400,
        gt=0,
        description="How long a request that names no deadline may wait before it fails as deadline_exceeded.",
    )
    sweep_every_seconds: float = Field(
        default=10, gt=0, description="How often abandoned requests are looked for."
    )
    requeue_after_seconds: float = Field(
        default=60,
        gt=0,
        description="How long a request may lie without a worker before it is published again.",
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

    @field_validator("database_url")
    @classmethod
    def _is_a_known_database(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            # What came instead may hold a password.
            raise ValueError(
                "expected sqlite+aiosqlite:///file or postgresql+asyncpg://user:password@host/name, got something else"
            )
        return url

    @model_validator(mode="after")
    def _guard_other_addresses(self) -> Self:
        if not self.trust_network and self.listens_without_token:
            raise ValueError(
                f"TANDEM_FEEDBACK_HOST: expected a loopback address while the HTTP face asks for no token, got {self.host!r}; "
                "set TANDEM_FEEDBACK_SERVICE_TOKEN, or TANDEM_FEEDBACK_TRUST_NETWORK=true where only trusted programs reach it"
            )
        return self

    @model_validator(mode="after")
    def _sign_webhooks(self) -> Self:
        if self.listed_webhook_hosts and self.webhook_secret is None:
            raise ValueError(
                "TANDEM_FEEDBACK_WEBHOOK_SECRET: expected a key to sign with, since TANDEM_FEEDBACK_WEBHOOK_HOSTS lists hosts"
            )
        return self

    @property
    def listed_webhook_hosts(self) -> tuple[str, ...]:
        return tuple(host.strip() for host in self.webhook_hosts.split(",") if host.strip())

    @property
    def listens_without_token(self) -> bool:
        return self.service_token is None and not _is_loopback(self.host)


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
