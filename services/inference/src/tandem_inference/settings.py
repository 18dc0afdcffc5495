"""The service's settings, read once from the environment (prefix `TANDEM_INFERENCE_`) and an optional `.env`.

What the engines are is declared in a file of its own; see `engines/declaration.py`.
"""

import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from tandem_inference.engines.sleep_mode import SleepWay
from tandem_inference.errors import StartError

_PREFIX = "TANDEM_INFERENCE_"


class InferenceSettings(BaseSettings):
    """Every setting of the inference service. Times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Anything but loopback needs a service token.",
    )
    port: int = Field(default=8800, ge=1, le=65535, description="Port to listen on.")
    service_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token that callers have to send. Without one, only loopback is served.",
    )
    feedback_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="A second bearer token, accepted like the first: requests with it are background unless they say otherwise.",
    )
    engines_file: Path = Field(
        default=Path("engines.yaml"), description="The file that declares the engines to run."
    )
    engine_command: tuple[str, ...] = Field(
        default=(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        min_length=1,
        description="Program and first arguments that start an engine, as a JSON list; vLLM's flags follow.",
    )
    engine_first_port: int = Field(
        default=8801,
        ge=1,
        le=65000,
        description="Port of the first engine on loopback; each further engine takes the next one.",
    )
    engine_start_timeout_seconds: float = Field(
        default=1800,
        gt=0,
        description="How long an engine may take to answer its health check, a model's download included.",
    )
    engine_stop_grace_seconds: float = Field(
        default=10, ge=0, description="How long an engine may take to stop before it is killed."
    )
    engine_silent_seconds: float = Field(
        default=60,
        ge=1,
        description="A ready engine that answers no health check for so long is killed and started again.",
    )
    engine_stalled_seconds: float = Field(
        default=300,
        ge=1,
        description="A ready engine that has requests and gets on with none of them for so long is killed and started again.",
    )
    engine_sleep: SleepWay = Field(
        default="auto",
        description="How engines that are declared on_demand sleep: `sleep_mode` is vLLM's own, `stop` ends their processes. `auto` is the former where vLLM's GPU build is installed.",
    )
    adapter_drain_seconds: float = Field(
        default=60,
        ge=0,
        description="How long requests that run on an adapter may go on once it has been removed from the engines' file.",
    )
    gpu: str | None = Field(
        default=None,
        description="Card that the engines run on, for comparing their starts with the planner, e.g. L4. By default the one that nvidia-smi names.",
    )
    plan_history_file: Path | None = Field(
        default=None,
        description="CSV that each start's plan and reported sizes are added to; read it with `tandem-plan compare`. Without one they are not kept.",
    )
    close_connections_seconds: int = Field(
        default=5, ge=0, description="How long running answers may go on once the service is told to stop."
    )
    background_reserve_slots: int = Field(
        default=2,
        ge=0,
        description="Slots of each engine that background requests leave free for the next interactive ones.",
    )
    background_floor_slots: int = Field(
        default=1,
        ge=1,
        description="Slots of each engine that background requests get however many interactive ones wait.",
    )
    interactive_queue_length: int = Field(
        default=100, ge=0, description="How many interactive requests may wait for an engine."
    )
    background_queue_length: int = Field(
        default=1000, ge=0, description="How many background requests may wait for an engine."
    )
    interactive_longest_wait_seconds: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="How long an interactive request may wait for its turn, or for an engine that wakes or restarts.",
    )
    background_longest_wait_seconds: float = Field(
        default=600, gt=0, le=3600, description="The same for a background request."
    )
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, description="Largest request body.")

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
    def _guard_public_addresses(self) -> Self:
        if self.service_token is None and not _is_loopback(self.host):
            raise ValueError(
                f"{_PREFIX}HOST is {self.host!r}, which is not a loopback address, and {_PREFIX}SERVICE_TOKEN is not set; "
                "set a token of at least 16 characters, or listen on 127.0.0.1"
            )
        return self


def read_settings() -> InferenceSettings:
    """Return the settings of this process.

    Raises:
        StartError: a setting is missing or wrong; the text names each variable and what was expected.
    """
    try:
        return InferenceSettings()
    except ValidationError as error:
        raise StartError("; ".join(_in_words(found) for found in error.errors())) from None
    except ValueError as error:  # a list that is not JSON
        raise StartError(f'{error}; expected a JSON list such as ["python", "-m", "module"]') from None


def _in_words(found: ErrorDetails) -> str:
    message = found["msg"].removeprefix("Value error, ")
    return "".join(f"{_PREFIX}{str(part).upper()}: " for part in found["loc"][:1]) + message


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
