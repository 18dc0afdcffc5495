"""The command line: `tandem-chat serve` and `tandem-chat migrate`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from tandem_chat.settings import ChatSettings
from tandem_telemetry import configure_telemetry

logger = logging.getLogger(__name__)

_MIGRATIONS = Path(__file__).parents[3] / "migrations"
# Readers of streams reconnect by themselves; their connections are not worth a longer wait.
_CLOSE_CONNECTIONS_SECONDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 wrong settings."""
    parser = argparse.ArgumentParser(prog="tandem-chat", description="Tandem's chat service.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve HTTP until told to stop")
    commands.add_parser("migrate", help="bring the database to the current schema")
    command = parser.parse_args(arguments).command
    try:
        settings = ChatSettings()
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in found["loc"]).upper()
            print(
                f"tandem-chat: {'TANDEM_CHAT_' + name + ': ' if name else ''}{found['msg']}", file=sys.stderr
            )
        return 2
    telemetry = configure_telemetry("chat")
    try:
        if command == "migrate":
            migrate(settings)
        else:
            serve(settings)
    finally:
        telemetry.shutdown()
    return 0


def migrate(settings: ChatSettings) -> None:
    """Apply every migration that the database lacks."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["database_url"] = settings.database_url.get_secret_value()
    command.upgrade(config, "head")
    logger.info("database.migrated")


def serve(settings: ChatSettings) -> None:
    """Serve until SIGTERM or SIGINT, then close in order."""
    from tandem_chat.entrypoints.http.app import create_app

    logger.info("chat.starting", extra={"settings": settings.model_dump(mode="json")})
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_CLOSE_CONNECTIONS_SECONDS,
    )
