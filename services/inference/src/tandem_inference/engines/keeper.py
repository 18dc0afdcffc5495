"""Stands between the service and one engine, so that no engine process outlives the service, even one killed with -9.

Run as a program, it starts the engine's command and waits. Standard input is a pipe whose other end the service holds for
life: its end means that the service is gone, and the whole process group is killed. Needs the standard library alone.
vLLM's own children do not die with their parent, which is why a signal on the parent's death would not be enough.
"""

import os
import select
import signal
import subprocess
import sys

_CHECK_SECONDS = 0.2


def main() -> int:
    engine = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - this is what it is for

    def pass_on(number: int, _frame: object) -> None:
        engine.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    while engine.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], _CHECK_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 1):
            os.killpg(0, signal.SIGKILL)  # includes this process
    code = engine.returncode
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
