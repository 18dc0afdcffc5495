"""The parts of the running stack: the command, environment and health address of each; nothing is started here."""

import os
from dataclasses import dataclass

from tandem_local.checkout import ROOT, program
from tandem_local.emulator import emulator_command
from tandem_local.run_settings import LOOPBACK, SMALL_MODEL, RunSettings

# Services end their open work first; the engine has to give its memory back.
STOP_SECONDS = {"chat": 15, "feedback": 15, "inference": 30, "emulator": 5}
# At a terminal nobody waits for a worker to finish its requests: they are kept, and done at the next start.
FEEDBACK_DRAIN_SECONDS = 5
# Sampled, even at 0.1, a model of this size makes up words now and then.
SMALL_MODEL_TEMPERATURE = "0"


@dataclass(frozen=True)
class Program:
    """One long-running part. `ready_url` answers 200 when it can do its work, `health_url` when it is alive."""

    name: str
    command: list[str]
    environment: dict[str, str]
    address: str
    health_url: str
    ready_url: str

    @property
    def stop_seconds(self) -> int:
        return STOP_SECONDS[self.name]


@dataclass(frozen=True)
class Step:
    """One command that must end with success before the services start."""

    name: str
    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """All that a stack consists of: the programs in the order that stopping goes backwards, and the steps."""

    programs: list[Program]
    migrations: list[Step]
    topology: Step


def plan(settings: RunSettings) -> Plan:
    """Return what to start for these settings.

    Raises:
        EmulatorMissingError: The emulator is to be started and is not installed.
    """
    parts = []
    if settings.starts_emulator:
        command = emulator_command(host=LOOPBACK, port=settings.emulator_port)
        address = f"http://{settings.emulator_host}"
        parts.append(Program("emulator", command, _environment(settings), address, address, address))
    for name, url in (
        ("inference", settings.inference_url),
        ("feedback", settings.feedback_url),
        ("chat", settings.chat_url),
    ):
        command = [str(program(name, f"tandem-{name}")), "serve"]
        environment = service_environment(name, settings)
        parts.append(Program(name, command, environment, url, f"{url}/health", f"{url}/ready"))
    return Plan(parts, _migrations(settings), _topology(settings))


def _migrations(settings: RunSettings) -> list[Step]:
    return [
        Step(
            f"{name} database",
            [str(program(name, f"tandem-{name}")), "migrate"],
            service_environment(name, settings),
        )
        for name in ("chat", "feedback")
    ]


def _topology(settings: RunSettings) -> Step:
    command = [str(program("feedback", "tandem-feedback")), "topology"]
    return Step("topics and subscriptions", command, service_environment("feedback", settings))


def service_environment(name: str, settings: RunSettings) -> dict[str, str]:
    """Return the whole environment of a service: the user's own settings win, except for where it listens."""
    prefix = f"TANDEM_{name.upper()}_"
    port = {
        "chat": settings.chat_port,
        "feedback": settings.feedback_port,
        "inference": settings.inference_port,
    }[name]
    defaults = {"TANDEM_TRACE_FILE": str(settings.state / "traces" / f"{name}.jsonl")}
    if name == "inference":
        defaults[f"{prefix}ENGINES_FILE"] = str(ROOT / "local" / f"engines.{settings.engine_build}.yaml")
        defaults[f"{prefix}ENGINE_FIRST_PORT"] = str(settings.engine_port)
        defaults[f"{prefix}PLAN_HISTORY_FILE"] = str(settings.state / "plan-history.csv")
    else:
        defaults[f"{prefix}DATABASE_URL"] = f"sqlite+aiosqlite:///{settings.state}/data/{name}.db"
        defaults[f"{prefix}INFERENCE_URL"] = settings.inference_url
        defaults[f"{prefix}MODEL"] = settings.model
        defaults[f"{prefix}PUBSUB_PROJECT"] = settings.project
    if name == "chat" and settings.model == SMALL_MODEL:
        defaults[f"{prefix}TEMPERATURE"] = SMALL_MODEL_TEMPERATURE
    if name == "feedback":
        defaults[f"{prefix}DRAIN_SECONDS"] = str(FEEDBACK_DRAIN_SECONDS)
    where = {f"{prefix}HOST": LOOPBACK, f"{prefix}PORT": str(port)}
    return {**defaults, **_environment(settings), **where}


def _environment(settings: RunSettings) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {
        **inherited,
        "PUBSUB_EMULATOR_HOST": settings.emulator_host,
        "PYTHONUNBUFFERED": "1",
    }
