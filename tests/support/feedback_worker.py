"""The real feedback worker as a process: started from its command line, killed or stopped as the test likes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.bound_process import bound_to_this_process
from tests.support.ports import free_port
from tests.support.waiting import wait_until

STOP_SECONDS = 60


class FeedbackWorker:
    """One `tandem-feedback serve`. Several may share `folder`, and with it the database.

    `settings` are the service's own, without their prefix.
    """

    def __init__(
        self, folder: Path, *, emulator_host: str, project: str, inference_url: str, **settings: str
    ) -> None:
        self.project = project
        self.log, self.spans = folder / "worker.log", folder / "spans.jsonl"
        port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TANDEM_", "OTEL_"))}
        self._environment = {
            **inherited,
            "PUBSUB_EMULATOR_HOST": emulator_host,
            "TANDEM_TRACE_FILE": str(self.spans),
            "TANDEM_FEEDBACK_PORT": str(port),
            "TANDEM_FEEDBACK_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/feedback.db",
            "TANDEM_FEEDBACK_INFERENCE_URL": inference_url,
            "TANDEM_FEEDBACK_PUBSUB_PROJECT": project,
            "TANDEM_FEEDBACK_LEASE_SECONDS": "3",
            "TANDEM_FEEDBACK_DRAIN_SECONDS": "0.5",
            **{f"TANDEM_FEEDBACK_{name.upper()}": text for name, text in settings.items()},
        }
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def run(self, command: str) -> None:
        """Run another command of the service, such as `migrate`, with the same settings."""
        done = subprocess.run(
            self._command(command), env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*bound_to_this_process(signal.SIGKILL), *self._command("serve")],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until("the worker answers", self._answers, seconds=90)

    def kill(self) -> None:
        """End it as a crash would, without any farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=STOP_SECONDS)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"the worker has ended:\n{self.log.read_text()[-3000:]}", pytrace=False)
        try:
            return self.client.get("/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _command(self, command: str) -> list[str]:
        return [str(Path(sys.executable).parent / "tandem-feedback"), command]
