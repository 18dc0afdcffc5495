"""The command line: `tandem-feedback serve`, `migrate`, `dlq`, reports on the feedback and, for the emulator, `topology`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tandem_feedback.domain.rubric import RubricFileError
from tandem_feedback.entrypoints.dlq import CommandError, add_dlq_commands, run_dlq
from tandem_feedback.entrypoints.report_commands import REPORT_COMMANDS, add_report_commands, run_report
from tandem_feedback.settings import FeedbackSettings
from tandem_messaging.errors import TandemError
from tandem_telemetry import configure_telemetry

logger = logging.getLogger(__name__)

_MIGRATIONS = Path(__file__).parents[3] / "migrations"
_CLOSE_CONNECTIONS_SECONDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 could not be done, 2 wrong settings."""
    parser = argparse.ArgumentParser(prog="tandem-feedback", description="Tandem's feedback service.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="work on requests until told to stop")
    commands.add_parser("migrate", help="bring the database to the current schema")
    commands.add_parser("topology", help="make topics and subscriptions on the Pub/Sub emulator")
    add_dlq_commands(commands)
    add_report_commands(commands)
    parsed = parser.parse_args(arguments)
    try:
        settings = FeedbackSettings()
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in found["loc"]).upper()
            print(
                f"tandem-feedback: {'TANDEM_FEEDBACK_' + name + ': ' if name else ''}{found['msg'].removeprefix('Value error, ')}",
                file=sys.stderr,
            )
        return 2
    try:
        telemetry = configure_telemetry("feedback")
    except ValueError as error:
        print(f"tandem-feedback: {error}", file=sys.stderr)
        return 2
    try:
        _run(parsed, settings)
    except (TandemError, RubricFileError, CommandError) as error:
        print(f"tandem-feedback: {error}", file=sys.stderr)
        return 1
    finally:
        telemetry.shutdown()
    return 0


def _run(parsed: argparse.Namespace, settings: FeedbackSettings) -> None:
    if parsed.command == "dlq":
        run_dlq(settings, parsed)
    elif parsed.command in REPORT_COMMANDS:
        run_report(settings, parsed)
    else:
        {"serve": serve, "migrate": migrate, "topology": topology}[parsed.command](settings)


def serve(settings: FeedbackSettings) -> None:
    """Work until SIGTERM or SIGINT, then drain and close in order."""
    from tandem_feedback.bootstrap import require_rubrics
    from tandem_feedback.entrypoints.http.app import create_app
    from tandem_feedback.entrypoints.http.server import run_until_told_to_stop

    require_rubrics(settings)
    logger.info("feedback.starting", extra={"settings": settings.model_dump(mode="json")})
    if settings.listens_without_token:
        logger.warning("feedback.listens_without_token", extra={"host": settings.host})
    run_until_told_to_stop(
        create_app(settings),
        settings.host,
        settings.port,
        close_connections_seconds=_CLOSE_CONNECTIONS_SECONDS,
    )


def migrate(settings: FeedbackSettings) -> None:
    """Apply every migration that the database lacks."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["database_url"] = settings.database_url.get_secret_value()
    command.upgrade(config, "head")
    logger.info("database.migrated")


def topology(settings: FeedbackSettings) -> None:
    """Make topics and subscriptions on the emulator."""
    from tandem_messaging.pubsub import connect
    from tandem_messaging.topology import make_topology

    async def make() -> None:
        async with connect(settings.pubsub_project) as pubsub:
            await make_topology(pubsub)

    asyncio.run(make())
