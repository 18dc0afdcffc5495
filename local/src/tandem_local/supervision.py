"""Runs the stack's programs under supervisord, which restarts those that die; order and health are the caller's."""

import contextlib
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from supervisor.xmlrpc import SupervisorTransport

from tandem_local.checkout import ROOT
from tandem_local.complaint import ComplaintError
from tandem_local.launch import write_launch_file
from tandem_local.programs import Program

START_SECONDS = 15
LONGEST_SOCKET_PATH = 100  # the kernel allows 107, and supervisord adds its process id while it starts
QUICK_DEATH_SECONDS = 3
QUICK_DEATHS_ALLOWED = 3  # with pauses of 1, 2 and 3 s

_CONFIGURATION = """\
[supervisord]
nodaemon=true
logfile={state}/logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={state}/supervisord.pid
childlogdir={state}/logs
directory={root}

[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={python} -m tandem_local.launch {launch_file} {name}
directory={root}
autostart=false
autorestart=true
startsecs={quick_death_seconds}
startretries={quick_deaths_allowed}
stopsignal=TERM
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={state}/logs/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""


@dataclass(frozen=True)
class Life:
    """What supervisord knows of a program: its state's name, its process (0 when none) and why it died."""

    state: str
    pid: int
    reason: str


class Supervision:
    """One supervisord with its folder; `start` and `stop` in pairs, the programs in between one by one."""

    def __init__(self, state: Path, programs: list[Program]) -> None:
        self._state = state
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None

    def log(self, name: str) -> Path:
        return self._state / "logs" / f"{name}.log"

    def start(self) -> None:
        """Start supervisord alone, bound to this process: when this one dies, it stops everything and ends.

        Raises:
            ComplaintError: It did not answer in time; the end of its log is in the message.
        """
        launch_file = self._write_files()
        with (self._state / "logs" / "supervisord.out").open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tandem_local.launch", str(launch_file), "supervisord"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C in the terminal is for this process, which then stops in order
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, HTTPException, xmlrpc.client.Fault):
                connect(self._state).supervisor.getState()
                return
            time.sleep(0.05)
        out_text = (self._state / "logs" / "supervisord.out").read_text()
        raise ComplaintError(f"The process runner (supervisord) did not start:\n{out_text[-2000:]}")

    def start_program(self, name: str) -> None:
        connect(self._state).supervisor.startProcess(name, False)

    def stop_program(self, name: str) -> None:
        """Ask the program to end and wait until it has; it is killed when its time is over."""
        with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
            connect(self._state).supervisor.stopProcess(name)

    def lives(self) -> dict[str, Life]:
        """Return every program's life.

        Raises:
            ComplaintError: supervisord is gone, and the programs with it.
        """
        try:
            return lives(self._state)
        except (OSError, HTTPException) as error:
            raise ComplaintError(
                f"The process runner (supervisord) died: {error}. Everything is stopped."
            ) from error

    def stop(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(OSError, HTTPException, xmlrpc.client.Fault):
            connect(self._state).supervisor.shutdown()
        try:
            self._process.wait(timeout=sum(program.stop_seconds for program in self._programs))
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _write_files(self) -> Path:
        socket = socket_path(self._state)
        if len(str(socket)) > LONGEST_SOCKET_PATH:
            raise ComplaintError(
                f"The path {self._state} is too long for a socket in it; set TANDEM_STATE_DIR to a shorter one."
            )
        for folder in ("logs", "data", "traces"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        for program in self._programs:
            _keep_former_log(self.log(program.name))
        launch_file, configuration = self._state / "launch.json", self._state / "supervisord.conf"
        runner = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
        commands = {program.name: (program.command, program.environment) for program in self._programs}
        own_environment = self._programs[0].environment
        write_launch_file(
            launch_file, state=self._state, programs={**commands, "supervisord": (runner, own_environment)}
        )
        configuration.write_text(self._configuration(launch_file))
        return launch_file

    def _configuration(self, launch_file: Path) -> str:
        facts = {
            "root": ROOT,
            "state": self._state,
            "socket": socket_path(self._state),
            "python": sys.executable,
            "launch_file": launch_file,
            "quick_death_seconds": QUICK_DEATH_SECONDS,
            "quick_deaths_allowed": QUICK_DEATHS_ALLOWED,
        }
        escaped = {name: str(fact).replace("%", "%%") for name, fact in facts.items()}
        sections = [
            _PROGRAM.format(**escaped, name=program.name, stop_seconds=program.stop_seconds)
            for program in self._programs
        ]
        return _CONFIGURATION.format(**escaped) + "".join(sections)


def connect(state: Path) -> xmlrpc.client.ServerProxy:
    """Return a proxy of the supervisord that runs from this state folder; it connects at each call."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path(state)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)


def lives(state: Path) -> dict[str, Life]:
    """Return the life of every program under the supervisord of this state folder."""
    answer = connect(state).supervisor.getAllProcessInfo()
    infos: list[dict[str, object]] = answer if isinstance(answer, list) else []
    return {
        str(info["name"]): Life(str(info["statename"]), int(str(info["pid"])), str(info["description"]))
        for info in infos
    }


def socket_path(state: Path) -> Path:
    return state / "supervisord.sock"


def _keep_former_log(log: Path) -> None:
    if log.exists():
        log.replace(log.with_suffix(".former.log"))
