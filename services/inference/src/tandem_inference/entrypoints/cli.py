"""The command line: `tandem-inference serve` and `tandem-inference make-small-model`.

Only parses and reports; the work is done elsewhere.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tandem_inference.errors import PermanentError

logger = logging.getLogger(__name__)

_EXIT_CANNOT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 it cannot be done as things are."""
    parser = argparse.ArgumentParser(prog="tandem-inference", description="Tandem's inference service.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the declared engines and serve HTTP until told to stop")
    small_model = commands.add_parser(
        "make-small-model", help="make the small model that runs without a GPU (about 15 seconds, 270 MB)"
    )
    small_model.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write")
    options = parser.parse_args(arguments)
    try:
        if options.command == "serve":
            _serve()
        else:
            _make_small_model(options.to)
    except PermanentError as error:
        print(f"tandem-inference: {error}", file=sys.stderr)
        return _EXIT_CANNOT
    return 0


def _serve() -> None:
    from tandem_inference.bootstrap import build_reloader, build_service, refuse_taken_ports
    from tandem_inference.engines.engines_file import read_engines
    from tandem_inference.entrypoints.http.app import create_app
    from tandem_inference.entrypoints.http.server import run_until_told_to_stop
    from tandem_inference.settings import read_settings
    from tandem_telemetry import configure_telemetry

    settings = read_settings()
    declared = read_engines(settings.engines_file)
    refuse_taken_ports(settings, declared.engines)
    telemetry = configure_telemetry("inference")
    try:
        logger.info("inference.starting", extra={"settings": settings.model_dump(mode="json")})
        service = build_service(settings, declared)
        run_until_told_to_stop(
            create_app(settings, service),
            settings.host,
            settings.port,
            close_connections_seconds=settings.close_connections_seconds,
            on_hangup=build_reloader(settings, service).reload_or_log,
        )
        logger.info("inference.stopped")
    finally:
        telemetry.shutdown()


def _make_small_model(target: Path) -> None:
    from tandem_inference.small_model import make_small_model

    make_small_model(target, lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
