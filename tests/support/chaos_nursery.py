"""A process that has imported the feedback service once and forks workers from that, each a real `tandem-feedback`.

Starting a worker anew costs two seconds of a processor, mostly imports, which would leave a drill of fifty kills no time to
work. Reads one JSON order per line and answers each with one line; ends with all its children when its input closes.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when run as a program

from tandem_feedback.entrypoints import cli
from tandem_feedback.entrypoints.http import app as _app
from tandem_feedback.entrypoints.http import server as _server
from tests.support import chaos_faults

PRELOADED = (_app, _server)
CRASHED = 70  # a child that died of an exception nobody caught


class Nursery:
    """Knows its children until somebody has asked for their end, so that no pid is used twice."""

    def __init__(self) -> None:
        self._ended: dict[int, int] = {}
        self._children: set[int] = set()

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["order"] == "spawn":
            pid = self._spawn(order)
            self._children.add(pid)
            return {"pid": pid}
        self._reap()
        pid = order["pid"]
        if order["order"] == "signal" and pid in self._children:
            os.kill(pid, order["number"])
        return {"exit": self._ended.get(pid)}

    def end_all(self) -> None:
        self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._children.discard(pid)
                self._ended[pid] = os.waitstatus_to_exitcode(status)

    def _spawn(self, order: dict[str, Any]) -> int:
        pid = os.fork()
        if pid == 0:
            _become_worker(order)
        return pid


def _become_worker(order: dict[str, Any]) -> NoReturn:
    code = CRASHED
    try:
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        quiet = os.open(os.devnull, os.O_RDONLY)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for source, target in ((quiet, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        chaos_faults.prepare(order.get("faults") or {})
        code = cli.main(order["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else CRASHED
    except BaseException:  # noqa: BLE001 - it must not go on as a second nursery
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nursery = Nursery()
    try:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            sys.stdout.write(json.dumps(nursery.answer(json.loads(line))) + "\n")
            sys.stdout.flush()
    finally:
        nursery.end_all()


if __name__ == "__main__":
    main()
