"""Ties outside programs to the test process: when pytest is killed, they end too and no port stays taken."""

import shutil
import signal


def bound_to_this_process(how: signal.Signals) -> list[str]:
    """Words to put before a command so that the kernel sends it `how` when pytest dies.

    Done by util-linux's setpriv, because a function run between fork and exec may hang when threads
    (grpc's, for one) are running. Empty where setpriv is absent: the fixtures still stop what they start.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", how.name.removeprefix("SIG")] if setpriv else []
