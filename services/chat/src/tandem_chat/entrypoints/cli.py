"""The command line: `tandem-chat serve`, `tandem-chat migrate` and `tandem-chat keys ...`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tandem_chat.adapters.persona_files import load_personas
from tandem_chat.domain.persona import Sampling
from tandem_chat.entrypoints.key_commands import add_key_commands, run_key_command
from tandem_chat.settings import ChatSettings
from tandem_telemetry import configure_telemetry

logger = logging.getLogger(__name__)

_MIGRATIONS = Path(__file__).parents[3] / "migrations"
# Readers of streams reconnect by themselves; their connections are not worth a longer wait.
_CLOSE_CONNECTIONS_SECONDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 could not be done, 2 wrong settings."""
    parser = argparse.ArgumentParser(prog="tandem-chat", description="Tandem's chat service.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve HTTP until told to stop")
    commands.add_parser("migrate", help="bring the database to the current schema")
    add_key_commands(commands.add_parser("keys", help="make, list and revoke the API keys of callers"))
    options = parser.parse_args(arguments)
    try:
        settings = ChatSettings()
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in found["loc"]).upper()
            message = found["msg"].removeprefix("Value error, ")
            print(f"tandem-chat: {'TANDEM_CHAT_' + name + ': ' if name else ''}{message}", file=sys.stderr)
        return 2
    if options.command == "keys":
        return run_key_command(settings, options)
    try:
        load_personas(
            settings.personas_file, default=Sampling()
        )  # a broken file is told here, before anything starts
        telemetry = configure_telemetry("chat")
    except ValueError as error:
        print(f"tandem-chat: {error}", file=sys.stderr)
        return 2
    try:
        if options.command == "migrate":
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
    from tandem_chat.entrypoints.http.server import run_until_told_to_stop

    logger.info("chat.starting", extra={"settings": settings.model_dump(mode="json")})
    if settings.listens_without_sign_in:
        logger.warning("chat.listens_without_sign_in", extra={"host": settings.host})
    app = create_app(settings)

    async def end_streams() -> None:
        await app.state.chat.end_streams()

    run_until_told_to_stop(
        app,
        settings.host,
        settings.port,
        end_streams=end_streams,
        close_connections_seconds=_CLOSE_CONNECTIONS_SECONDS,
    )
