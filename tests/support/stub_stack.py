"""Runs `make run`'s own driver over stand-ins for the services, so that its care for processes is tested in seconds.

Each stand-in is this file with a port: an HTTP server that answers every GET, with a child process of its
own, as the engine has. `python -m tests.support.stub_stack` is the stack itself.
"""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from tandem_local.complaint import ComplaintError
from tandem_local.programs import Plan, Program, Step
from tandem_local.run_settings import RunSettings
from tandem_local.running import run


class _Ok(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        return


def stub_plan(settings: RunSettings) -> Plan:
    """Return four stand-ins; STUB_FAILING names one that dies at once."""
    ports = {
        "emulator": settings.emulator_port,
        "inference": settings.inference_port,
        "feedback": settings.feedback_port,
        "chat": settings.chat_port,
    }
    programs = [_stub(name, port) for name, port in ports.items()]
    marker = settings.state / "topology"
    make = [sys.executable, "-c", f"open({str(marker)!r}, 'a').write('made\\n')"]
    nothing = [sys.executable, "-c", ""]
    return Plan(programs, [Step("chat database", nothing, {})], Step("topics and subscriptions", make, {}))


def _stub(name: str, port: int) -> Program:
    command = [sys.executable, "-m", "tests.support.stub_stack", name, str(port)]
    if os.environ.get("STUB_FAILING") == name:
        command = [sys.executable, "-c", "raise SystemExit('no luck today')"]
    url = f"http://127.0.0.1:{port}"
    return Program(name, command, dict(os.environ), url, url, url)


def serve(name: str, port: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    def end(*_signal: object) -> None:
        child.terminate()
        sys.exit()

    signal.signal(signal.SIGTERM, end)
    event: dict[str, object] = {
        "time": "2026-01-01T12:00:00+00:00",
        "level": "INFO",
        "event": f"{name}.up",
        "port": port,
    }
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
    HTTPServer(("127.0.0.1", port), _Ok).serve_forever()


def main() -> int:
    if len(sys.argv) == 3:
        serve(sys.argv[1], int(sys.argv[2]))
    try:
        return run(stub_plan)
    except ComplaintError as complaint:
        sys.stderr.write(f"{complaint}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
