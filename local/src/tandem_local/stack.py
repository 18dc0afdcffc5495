"""Starts, watches and stops the whole stack in order; supervisord restarts what dies, this decides when to give up."""

import subprocess
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tandem_local.checkout import ROOT
from tandem_local.complaint import ComplaintError
from tandem_local.health import answers
from tandem_local.leftovers import end_leftovers, marks
from tandem_local.programs import Plan, Program, Step
from tandem_local.run_settings import RunSettings, check_ports
from tandem_local.supervision import Supervision

POLL_SECONDS = 0.25
ALIVE_SECONDS = 60
ENGINE_READY_SECONDS = 600  # a GPU engine compiles its kernels at the first start
RESTART_WINDOW_SECONDS = 600
LOG_LINES_SHOWN = 20

Say = Callable[[str], None]


class PartDiedError(ComplaintError):
    """A part of the stack cannot be kept running; the message names it and shows the end of its log."""


class Stack:
    """The running stack of one state folder. `start`, then `watch` for ever; `stop` in any case."""

    def __init__(self, settings: RunSettings, plan: Plan, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._plan = plan
        self.programs = plan.programs
        self._supervision = Supervision(settings.state, self.programs)
        self._started: list[Program] = []
        self._processes: dict[str, int] = {}
        self._restarts: dict[str, deque[float]] = {}
        self._topology_is_due = False

    def log_files(self) -> dict[str, Path]:
        """Return the services' logs. The emulator writes two lines per connection; its log is for when it dies."""
        return {p.name: self._supervision.log(p.name) for p in self.programs if p.name != "emulator"}

    def prepare(self) -> None:
        """End what a former run left behind, check the ports, start the process runner."""
        if ended := end_leftovers(self._settings.state):
            self._say(f"ended {ended} processes that a former run had left behind")
        check_ports(self._settings)
        self._supervision.start()

    def start(self) -> None:
        """Start every part; returns when chat and feedback are alive (the engine may still be loading).

        Raises:
            ComplaintError: A part did not come up, or a step before it failed.
        """
        by_name = {program.name: program for program in self.programs}
        # The engine takes longest and needs none of the others.
        for name in ("inference", "emulator"):
            if name in by_name:
                self._start_program(by_name[name])
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._run_step, self._plan.migrations))
        if "emulator" in by_name:
            self.wait_until("emulator", by_name["emulator"].health_url, ALIVE_SECONDS)
        self._run_step(self._plan.topology)
        for name in ("feedback", "chat"):
            self._start_program(by_name[name])
        for name in ("feedback", "chat"):
            self.wait_until(name, by_name[name].health_url, ALIVE_SECONDS)
        self._topology_is_due = False

    def wait_until_ready(self) -> None:
        for program in self.programs:
            self.wait_until(program.name, program.ready_url, ENGINE_READY_SECONDS)

    def wait_until(self, name: str, url: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not answers(url):
            if time.monotonic() > deadline:
                raise PartDiedError(
                    f"{name} did not answer at {url} within {seconds:.0f} s.\n{self._end_of_log(name)}"
                )
            self.check()
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Keep checking until a part cannot be kept running (raises) or a signal's exception ends it."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Look at every part once: count restarts, give up on a flapping one, remake lost topics.

        Raises:
            PartDiedError: A part died too often.
        """
        lives = self._supervision.lives()
        for program in self._started:
            life = lives[program.name]
            if life.state == "FATAL":
                raise PartDiedError(
                    f"{program.name} dies as soon as it starts.\n{self._end_of_log(program.name)}"
                )
            if life.pid and life.pid != self._processes.get(program.name, life.pid):
                self._count_restart(program)
            if life.pid:
                self._processes[program.name] = life.pid
        if self._topology_is_due and answers(f"http://{self._settings.emulator_host}"):
            self._topology_is_due = False
            self._run_step(self._plan.topology)

    def states(self) -> list[tuple[str, str, str]]:
        """Return (name, address, state) of each part."""
        lives = self._supervision.lives()
        return [(p.name, p.address, self._state(p, lives[p.name].pid)) for p in self.programs]

    def stop(self) -> None:
        """Stop all parts in the reverse of their order, then whatever else carries the stack's mark. Never raises."""
        for program in reversed(self.programs):
            if program in self._started:
                self._say(f"stops {program.name}")
                self._supervision.stop_program(program.name)
        self._supervision.stop()
        end_leftovers(self._settings.state)

    def _start_program(self, program: Program) -> None:
        self._say(f"starts {program.name}")
        self._supervision.start_program(program.name)
        self._started.append(program)

    def _count_restart(self, program: Program) -> None:
        now = time.monotonic()
        restarts = self._restarts.setdefault(program.name, deque())
        restarts.append(now)
        while restarts[0] < now - RESTART_WINDOW_SECONDS:
            restarts.popleft()
        if len(restarts) > self._settings.restarts_allowed:
            raise PartDiedError(
                f"{program.name} died {len(restarts)} times within {RESTART_WINDOW_SECONDS // 60} minutes.\n"
                f"{self._end_of_log(program.name)}"
            )
        self._say(f"{program.name} had died and was started again")
        if program.name == "emulator":
            self._topology_is_due = True

    def _state(self, program: Program, pid: int) -> str:
        if not pid:
            return "stopped"
        return (
            "ready" if answers(program.ready_url) else "alive" if answers(program.health_url) else "starting"
        )

    def _run_step(self, step: Step) -> None:
        environment = {**step.environment, **marks(self._settings.state, step.name)}
        done = subprocess.run(
            step.command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        log = self._settings.state / "logs" / f"{step.name.replace(' ', '-')}.log"
        log.write_text(done.stdout)
        if done.returncode != 0:
            words = " ".join(step.command)
            raise ComplaintError(f"Making the {step.name} failed: `{words}` said\n{_last_lines(done.stdout)}")
        self._say(f"made the {step.name}")

    def _end_of_log(self, name: str) -> str:
        log = self._supervision.log(name)
        text = log.read_text(errors="replace") if log.exists() else ""
        return f"The end of {log}:\n{_last_lines(text)}"


def _last_lines(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines()[-LOG_LINES_SHOWN:])
