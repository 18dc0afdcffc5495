"""What a user may set for the stack on one machine, read once from the environment."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from tandem_local.checkout import MODELS, state_dir
from tandem_local.complaint import ComplaintError
from tandem_local.prerequisites import engine_build

LOOPBACK = "127.0.0.1"
SMALL_MODEL = "smollm2-135m-instruct"
PORTS = {
    "TANDEM_CHAT_PORT": 8000,
    "TANDEM_FEEDBACK_PORT": 8010,
    "TANDEM_INFERENCE_PORT": 8800,
    "TANDEM_ENGINE_PORT": 8801,
    "PUBSUB_EMULATOR_PORT": 8085,
}


@dataclass(frozen=True)
class RunSettings:
    """Ports are on loopback; `state` is an absolute folder that one running stack has to itself."""

    state: Path
    chat_port: int
    feedback_port: int
    inference_port: int
    engine_port: int
    emulator_port: int
    emulator_host: str
    starts_emulator: bool
    project: str
    model: str
    engine_build: str
    restarts_allowed: int

    @property
    def chat_url(self) -> str:
        return f"http://{LOOPBACK}:{self.chat_port}"

    @property
    def feedback_url(self) -> str:
        return f"http://{LOOPBACK}:{self.feedback_port}"

    @property
    def inference_url(self) -> str:
        return f"http://{LOOPBACK}:{self.inference_port}"


def read_run_settings() -> RunSettings:
    """Read the settings.

    Raises:
        ComplaintError: A value is not what it should be; the message names the setting.
    """
    ports = {name: _number(name, default, 1, 65535) for name, default in PORTS.items()}
    if len(set(ports.values())) < len(ports):
        raise ComplaintError(f"Each port setting needs a port of its own; they are {ports}.")
    external = os.environ.get("PUBSUB_EMULATOR_HOST", "").strip()
    return RunSettings(
        state=state_dir(),
        chat_port=ports["TANDEM_CHAT_PORT"],
        feedback_port=ports["TANDEM_FEEDBACK_PORT"],
        inference_port=ports["TANDEM_INFERENCE_PORT"],
        engine_port=ports["TANDEM_ENGINE_PORT"],
        emulator_port=ports["PUBSUB_EMULATOR_PORT"],
        emulator_host=external or f"{LOOPBACK}:{ports['PUBSUB_EMULATOR_PORT']}",
        starts_emulator=not external,
        project=os.environ.get("PUBSUB_PROJECT_ID", "").strip() or "tandem-local",
        model=os.environ.get("TANDEM_MODEL", "").strip() or SMALL_MODEL,
        engine_build=engine_build(),
        restarts_allowed=_number("TANDEM_RESTARTS_ALLOWED", 5, 0, 1_000_000),
    )


def small_model_dir() -> Path:
    return MODELS / SMALL_MODEL


def check_ports(settings: RunSettings) -> None:
    """Check that every port the stack will listen on is free.

    Raises:
        ComplaintError: Some are taken; each is named with the setting that changes it.
    """
    wanted = {
        "TANDEM_CHAT_PORT": settings.chat_port,
        "TANDEM_FEEDBACK_PORT": settings.feedback_port,
        "TANDEM_INFERENCE_PORT": settings.inference_port,
        "TANDEM_ENGINE_PORT": settings.engine_port,
    }
    if settings.starts_emulator:
        wanted["PUBSUB_EMULATOR_PORT"] = settings.emulator_port
    taken = [f"port {port} is taken (setting {name})" for name, port in wanted.items() if not _is_free(port)]
    if taken:
        raise ComplaintError(
            f"Another program listens where Tandem should: {', '.join(taken)}. "
            f"End that program, or choose another port: {taken[0].split('setting ')[1][:-1]}=<port> make run "
            "(or put the line in .env)."
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT can be taken
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _number(name: str, default: int, low: int, high: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ComplaintError(f"{name} must be a whole number from {low} to {high}, not {text!r}.")
    return int(text)
