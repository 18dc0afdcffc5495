"""The command line behind the Makefile: reads the words, calls one module, turns complaints into exit codes."""

import argparse
import signal
import sys

from tandem_local.complaint import ComplaintError


def main(words: list[str] | None = None) -> int:
    options = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(_COMMANDS[options.command](options))
    except ComplaintError as complaint:
        print(f"\n{complaint}", file=sys.stderr)
        return 1


def _setup(options: argparse.Namespace) -> int:
    from tandem_local.environments import select
    from tandem_local.prerequisites import check_python

    check_python()
    missing = [environment for environment in select(options.environments) if not environment.is_current()]
    if missing:  # what installs is imported only now: this command runs before every other one
        from tandem_local.setting_up import set_up

        set_up(missing)
    return 0


_COMMANDS = {"setup": _setup}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="make the virtual environments that are missing or out of date")
    setup.add_argument("environments", nargs="*", help="names; all when none is given")
    return parser


if __name__ == "__main__":
    sys.exit(main())
