"""The command line behind the Makefile: reads the words, calls one module, turns complaints into exit codes.

Runs on the bare Python that makes the environments; what needs more is handed to an environment's own Python.
"""

import argparse
import os
import signal
import sys

from tandem_local.checkout import ROOT, program
from tandem_local.complaint import ComplaintError
from tandem_local.env_file import load_env_file
from tandem_local.environments import make_current

RUN_ENVIRONMENTS = ["chat", "feedback", "inference", "local"]


def main(words: list[str] | None = None) -> int:
    options = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        load_env_file(ROOT / ".env")
        return int(_COMMANDS[options.command](options))
    except ComplaintError as complaint:
        print(f"\n{complaint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def _setup(options: argparse.Namespace) -> int:
    make_current(options.names)
    return 0


def _run(options: argparse.Namespace) -> int:
    from tandem_local.programs import plan
    from tandem_local.run_settings import read_run_settings

    plan(
        read_run_settings()
    )  # complains about a wrong setting or a missing emulator before anything is installed
    make_current(RUN_ENVIRONMENTS)
    from tandem_local.small_model import make_small_model

    make_small_model()
    return _continue_in("local", "run-installed")


def _run_installed(options: argparse.Namespace) -> int:
    from tandem_local.running import run

    return run()


def _model(options: argparse.Namespace) -> int:
    from tandem_local.small_model import make_small_model

    make_current(["inference"])
    make_small_model()
    return 0


def _test(options: argparse.Namespace) -> int:
    from tandem_local.tiers import run_tiers

    return run_tiers(options.names, options.pytest)


def _lock(options: argparse.Namespace) -> int:
    from tandem_local.locks import write_locks

    make_current(["dev"])
    write_locks(options.names, upgrade=options.upgrade)
    return 0


def _lock_check(options: argparse.Namespace) -> int:
    from tandem_local.lock_check import problems

    found = problems()
    print("\n".join(found) or "The lock files agree with the projects.")
    return 1 if found else 0


def _continue_in(environment: str, command: str) -> int:
    """Become the same command line on an environment's Python, under the same process id."""
    os.environ.pop("PYTHONPATH", None)
    python = str(program(environment, "python"))
    sys.stdout.flush()
    os.execv(python, [python, "-m", "tandem_local", command])  # noqa: S606 - a fixed list of words


_COMMANDS = {
    "setup": _setup,
    "run": _run,
    "run-installed": _run_installed,
    "model": _model,
    "test": _test,
    "lock": _lock,
    "lock-check": _lock_check,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="make the virtual environments that are missing or out of date")
    setup.add_argument("names", nargs="*", help="environments; all when none is given")
    commands.add_parser("run", help="set up what is missing and run the whole stack until Ctrl-C")
    commands.add_parser("run-installed", help="run the whole stack; everything must be set up")
    commands.add_parser("model", help="make the small model")
    test = commands.add_parser("test", help="run the test tiers")
    test.add_argument("names", nargs="*", help="tiers; all when none is given")
    test.add_argument("--pytest", nargs=argparse.REMAINDER, default=[], help="words passed on to pytest")
    lock = commands.add_parser("lock", help="write the lock files")
    lock.add_argument("names", nargs="*", help="environments; all when none is given")
    lock.add_argument("--upgrade", action="store_true", help="move to the newest allowed versions")
    commands.add_parser("lock-check", help="tell whether the lock files agree with the projects")
    return parser


if __name__ == "__main__":
    sys.exit(main())
