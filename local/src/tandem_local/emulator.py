"""Finds Google's Pub/Sub emulator on this machine and tells how to start it; starting is the caller's."""

import os
import shutil
import subprocess
from pathlib import Path

from tandem_local.complaint import ComplaintError

LAUNCHER_IN_SDK = Path("platform/pubsub-emulator/bin/cloud-pubsub-emulator")

_HOW_TO_INSTALL = (
    "Install it with `gcloud components install beta pubsub-emulator` (Debian and Ubuntu: the package "
    "google-cloud-cli-pubsub-emulator). Or run "
    "Google's google-cloud-cli:emulators image with docker, publish its port on loopback, and name it with "
    "PUBSUB_EMULATOR_HOST=127.0.0.1:<port>."
)


class EmulatorMissingError(ComplaintError):
    """The emulator or the Java runtime it needs is not installed; the message says what to install."""


def emulator_command(*, host: str, port: int) -> list[str]:
    """Return the command that runs the emulator as one process.

    The SDK's launcher is called directly: `gcloud beta emulators pubsub start` adds a second of start-up
    and two wrapping processes that leave the JVM behind when they are killed.

    Raises:
        EmulatorMissingError: Java, gcloud or the emulator component is absent.
    """
    if shutil.which("java") is None:
        raise EmulatorMissingError(
            "The Pub/Sub emulator needs a Java runtime and `java` is not on the PATH. "
            "Install one (Debian and Ubuntu: `apt-get install default-jre-headless`)."
        )
    return [str(find_launcher()), f"--host={host}", f"--port={port}"]


def find_launcher() -> Path:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise EmulatorMissingError(
            f"The Pub/Sub emulator needs gcloud and it is not on the PATH. {_HOW_TO_INSTALL}"
        )
    for sdk_root in (Path(gcloud).resolve().parent.parent, _sdk_root_by_asking(gcloud)):
        launcher = sdk_root / LAUNCHER_IN_SDK
        if os.access(launcher, os.X_OK):
            return launcher
    raise EmulatorMissingError(f"gcloud is here but its component pubsub-emulator is not. {_HOW_TO_INSTALL}")


def _sdk_root_by_asking(gcloud: str) -> Path:
    """Ask gcloud itself: its command may be a shim that lies elsewhere than the SDK."""
    answer = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=False
    )
    return Path(answer.stdout.strip() or "/nonexistent")
