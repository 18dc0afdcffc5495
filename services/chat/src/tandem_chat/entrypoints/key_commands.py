"""`tandem-chat keys create|list|revoke`: the API keys that callers sign in with. The token is printed once, at its making."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from tandem_chat.adapters.sign_in.api_keys import ApiKey, ApiKeys
from tandem_chat.domain.owner import LOCAL_OWNER, OWNER_CHARS
from tandem_chat.settings import ChatSettings
from tandem_messaging.database import Database

_LONGEST_LABEL_CHARS = 200


def add_key_commands(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their words."""
    commands = parser.add_subparsers(dest="key_command", required=True)
    create = commands.add_parser("create", help="make a key and print its token, this once")
    create.add_argument("--owner", type=_owner, required=True, help="whose conversations the key opens")
    create.add_argument("--label", type=_label, default="", help="what the key is for, in your own words")
    create.add_argument("--days", type=_days, help="how long it is valid; without it, until it is revoked")
    listing = commands.add_parser("list", help="list keys, without their secrets")
    listing.add_argument("--owner", type=_owner, help="only this owner's")
    revoke = commands.add_parser("revoke", help="end a key at once")
    revoke.add_argument("id", help="the key's id, as `list` shows it")


def run_key_command(settings: ChatSettings, options: argparse.Namespace) -> int:
    """Do what was asked; return the exit code."""
    return asyncio.run(_run(settings, options))


async def _run(settings: ChatSettings, options: argparse.Namespace) -> int:
    database = Database(settings.database_url.get_secret_value())
    keys = ApiKeys(database)
    try:
        if options.key_command == "create":
            lifetime = None if options.days is None else timedelta(days=options.days)
            key, token = await keys.create(options.owner, label=options.label, lifetime=lifetime)
            _tell(f"key {key.id} for {key.owner}; its token, which cannot be shown again:")
            sys.stdout.write(f"{token}\n")
            if not settings.api_keys:
                _tell("chat does not ask for keys yet: start it with TANDEM_CHAT_API_KEYS=true")
        elif options.key_command == "list":
            sys.stdout.write(_table(await keys.of(options.owner)))
        elif not await keys.revoke(options.id):
            _tell(f"there is no key {options.id!r}; `tandem-chat keys list` shows them")
            return 1
        return 0
    finally:
        await database.close()


def _table(keys: Sequence[ApiKey]) -> str:
    rows = [("ID", "OWNER", "STATE", "CREATED", "EXPIRES", "LABEL")]
    rows += [(k.id, k.owner, _state(k), _day(k.created_at), _day(k.expires_at), k.label) for k in keys]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    expired = key.expires_at is not None and key.expires_at <= datetime.now(key.expires_at.tzinfo)
    return "expired" if expired else "valid"


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else moment.date().isoformat()


def _owner(text: str) -> str:
    if text.isprintable() and len(text.strip()) > 0 and len(text) <= OWNER_CHARS and text != LOCAL_OWNER:
        return text
    raise argparse.ArgumentTypeError(
        f"expected 1 to {OWNER_CHARS} printable characters other than {LOCAL_OWNER!r}, got {text!r}"
    )


def _label(text: str) -> str:
    if text.isprintable() and len(text) <= _LONGEST_LABEL_CHARS:
        return text
    raise argparse.ArgumentTypeError(f"expected at most {_LONGEST_LABEL_CHARS} printable characters")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if 0 < days <= 36500:
        return days
    raise argparse.ArgumentTypeError(f"expected a number of days above 0, at most 36500, got {text!r}")


def _tell(line: str) -> None:
    sys.stderr.write(f"tandem-chat: {line}\n")
