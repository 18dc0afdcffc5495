"""The command line: `tandem-inference serve` and `tandem-inference make-small-model`.

Only parses and reports; the work is done elsewhere.
"""

import argparse
import sys
from pathlib import Path

from tandem_inference.errors import PermanentError

_EXIT_CANNOT = 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tandem-inference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    small_model = commands.add_parser(
        "make-small-model", help="make the small model that runs without a GPU (about 15 seconds, 270 MB)"
    )
    small_model.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write")
    options = parser.parse_args(arguments)
    try:
        _make_small_model(options.to)
    except PermanentError as error:
        print(f"tandem-inference: {error}", file=sys.stderr)
        return _EXIT_CANNOT
    return 0


def _make_small_model(target: Path) -> None:
    from tandem_inference.small_model import make_small_model

    make_small_model(target, lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
