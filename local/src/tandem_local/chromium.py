"""Finds a Chromium for the tests of the web page, and installs Debian's where that is allowed."""

import os
import shutil
import subprocess

from tandem_local.complaint import ComplaintError

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "chromium")


def find_chromium() -> str | None:
    """Return the browser's path: TANDEM_CHROMIUM when set, else the first known name on the PATH."""
    named = os.environ.get("TANDEM_CHROMIUM", "").strip()
    return named or next((path for name in _NAMES if (path := shutil.which(name))), None)


def ensure_chromium() -> None:
    """Install Chromium when there is none.

    Raises:
        ComplaintError: It cannot be installed from here; the message says what to do.
    """
    if find_chromium():
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ComplaintError(
            "The tests of the web page need Chromium, and there is none. Install it (Debian: "
            f"`sudo {' '.join(_INSTALL)}`) or name one with TANDEM_CHROMIUM=/path/to/chromium."
        )
    print("Installing Chromium for the tests of the web page.", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (_INSTALL, ("apt-get", "update"), _INSTALL):  # the list of packages may be old, or empty
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if find_chromium():
            return
    raise ComplaintError(
        f"`{' '.join(_INSTALL)}` did not bring Chromium:\n{(done.stdout + done.stderr)[-2000:]}"
    )
