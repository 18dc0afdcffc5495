"""The command line behind `make up`, `down`, `logs` and `images`: hands over to compose with the chosen profiles' settings.

Standard library only. What runs, and how, is said in compose.yaml alone.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import make_secrets  # beside this script

HERE = Path(__file__).resolve().parent
PROFILES = ("cpu", "gpu", "multi", "observability")
ENGINES = {"cpu", "gpu", "multi"}


def main(words: list[str]) -> int:
    """Return compose's exit code, or 2 when the words are wrong or there is no compose."""
    parser = argparse.ArgumentParser(prog="docker/stack.py", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "logs", "images"))
    parser.add_argument("profiles", nargs="*", help=f"of {', '.join(PROFILES)}; cpu when no engine is named")
    options = parser.parse_args(words)
    if unknown := sorted(set(options.profiles) - set(PROFILES)):
        return _refuse(f"there is no profile {', '.join(unknown)}; there are {', '.join(PROFILES)}")
    engines = ENGINES & set(options.profiles)
    if len(engines) > 1:
        return _refuse(f"expected one of {', '.join(sorted(ENGINES))}, got {' and '.join(sorted(engines))}")
    profiles = [*options.profiles] if engines else ["cpu", *options.profiles]
    if not (compose := _compose()):
        return _refuse("neither `docker compose` nor `docker-compose` is installed, and one is needed")
    make_secrets.main(Path(os.environ.get("TANDEM_SECRETS") or HERE / "secrets"))
    return subprocess.run([*compose, *_words(options.command, profiles)], check=False).returncode  # noqa: S603 - fixed words


def _words(command: str, profiles: list[str]) -> list[str]:
    file = ["--file", str(HERE / "compose.yaml")]
    if command in {"down", "logs"}:  # whatever was started
        return [*file, "--profile", "*", *{"down": ["down"], "logs": ["logs", "--follow"]}[command]]
    for profile in profiles:
        file += ["--env-file", str(HERE / "profiles" / f"{profile}.env"), "--profile", profile]
    return [*file, *{"up": ["up", "--detach", "--build", "--wait"], "images": ["build"]}[command]]


def _compose() -> list[str] | None:
    if docker := shutil.which("docker"):
        asked = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)  # noqa: S603 - fixed words
        if asked.returncode == 0:
            return [docker, "compose"]
    return [found] if (found := shutil.which("docker-compose")) else None


def _refuse(reason: str) -> int:
    sys.stderr.write(f"docker/stack.py: {reason}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
