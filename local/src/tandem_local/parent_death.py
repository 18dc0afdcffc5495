"""Binds a process to its parent: when the parent dies, however abruptly, the kernel signals the child.

Linux only; elsewhere the binding is silently absent and the orderly stop has to do.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(how: signal.Signals = signal.SIGTERM, *, expected_parent: int | None = None) -> None:
    """Ask for `how` on the parent's death. Survives exec, not a change of user.

    `expected_parent` closes the gap between fork and this call: if the parent is already another
    process, the signal is delivered at once.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
    if expected_parent is not None and os.getppid() != expected_parent:
        os.kill(os.getpid(), how)
