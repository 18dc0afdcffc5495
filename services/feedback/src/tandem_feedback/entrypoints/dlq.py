"""The command line of dead letters: `tandem-feedback dlq list|show|edit|replay|purge`, on the service's own database.

What is replayed waits in the outbox for the next running worker.
"""

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tandem_feedback.application.dead_letters import DeadLetters
from tandem_feedback.bootstrap import open_dead_letters
from tandem_feedback.domain.dead_letter import DeadLetter, LetterFilter, LetterState
from tandem_feedback.settings import FeedbackSettings


class CommandError(Exception):
    """The command cannot be done as it was typed."""


_STATES = [state.value for state in LetterState]


def add_dlq_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `dlq` and its own commands to the service's command line."""
    dlq = commands.add_parser("dlq", help="work with dead letters")
    actions = dlq.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="one line per letter, the latest death first")
    _add_filter(listing)
    listing.add_argument("--limit", type=int, default=50)
    actions.add_parser("show", help="everything about one letter").add_argument("id")
    edit = actions.add_parser("edit", help="change a letter before it is replayed")
    edit.add_argument("id")
    edit.add_argument("--data", metavar="FILE", help="file with the new data; - reads standard input")
    edit.add_argument("--set", metavar="NAME=TEXT", action="append", default=[], help="set an attribute")
    replay = actions.add_parser("replay", help="send letters to the topic of requests again")
    _add_choice(replay)
    replay.add_argument("--reason", help="with --all: only letters of this reason")
    replay.add_argument("--again", action="store_true", help="with --all: also those that died again before")
    purge = actions.add_parser("purge", help="delete letters for good")
    _add_choice(purge)
    _add_filter(purge)
    purge.add_argument("--older-than-days", type=float, default=0.0)


def run_dlq(settings: FeedbackSettings, arguments: argparse.Namespace) -> None:
    """Run one of the commands. Raises TandemError or CommandError when it cannot be done."""
    if arguments.action in ("replay", "purge") and bool(arguments.id) == arguments.all:
        raise CommandError(f"dlq {arguments.action}: expected ids, or --all")

    async def run() -> None:
        async with open_dead_letters(settings) as letters:
            await _ACTIONS[arguments.action](letters, arguments)

    asyncio.run(run())


async def _list(letters: DeadLetters, arguments: argparse.Namespace) -> None:
    found, more = await letters.page(_filter_of(arguments), limit=max(1, arguments.limit))
    for letter in found:
        told = f"{letter.id}  {letter.died_at:%Y-%m-%d %H:%M:%S}  {letter.state:10}  {letter.code:18}"
        print(f"{told}  {letter.request_id or '-'}  {letter.reason}")
    if more:
        print("... and more: --limit shows them", file=sys.stderr)


async def _show(letters: DeadLetters, arguments: argparse.Namespace) -> None:
    _print(await letters.one(arguments.id))


async def _edit(letters: DeadLetters, arguments: argparse.Namespace) -> None:
    letter = await letters.one(arguments.id)
    pairs = [text.partition("=") for text in arguments.set]
    if wrong := [name for name, sign, _ in pairs if not name or not sign]:
        raise CommandError(f"dlq edit: --set: expected NAME=TEXT, got {wrong[0]!r} without a sign")
    attributes = {**letter.attributes, **{name: text for name, _, text in pairs}} if pairs else None
    data = None if arguments.data is None else _read(arguments.data)
    if data is None and attributes is None:
        raise CommandError("dlq edit: expected --data FILE or --set NAME=TEXT, got neither")
    _print(await letters.edit(arguments.id, data=data, attributes=attributes))


async def _replay(letters: DeadLetters, arguments: argparse.Namespace) -> None:
    if arguments.all:
        count = await letters.replay_all(arguments.reason, again=arguments.again)
    else:
        count = len([await letters.replay_one(letter_id) for letter_id in arguments.id])
    print(f"{count} replayed")


async def _purge(letters: DeadLetters, arguments: argparse.Namespace) -> None:
    if arguments.all:
        count = await letters.purge_all(_filter_of(arguments, older_than_days=arguments.older_than_days))
    else:
        for letter_id in arguments.id:
            await letters.purge_one(letter_id)
        count = len(arguments.id)
    print(f"{count} purged")


_ACTIONS = {"list": _list, "show": _show, "edit": _edit, "replay": _replay, "purge": _purge}


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", help="only letters of this reason, such as unreadable")
    parser.add_argument("--state", choices=_STATES)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="*")
    parser.add_argument("--all", action="store_true")


def _filter_of(arguments: argparse.Namespace, *, older_than_days: float = 0.0) -> LetterFilter:
    state = LetterState(arguments.state) if arguments.state else None
    return LetterFilter(arguments.reason, state, datetime.now(UTC) - timedelta(days=older_than_days))


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"dlq edit: --data: {error}") from error


def _print(letter: DeadLetter) -> None:
    shown = {
        "id": letter.id,
        "state": letter.state.value,
        "reason": letter.code,
        "error": letter.reason,
        "attempts": letter.attempts,
        "origin": letter.origin,
        "request_id": letter.request_id,
        "died_at": letter.died_at.isoformat(),
        "replays": letter.replays,
        "replayed_at": letter.replayed_at.isoformat() if letter.replayed_at else None,
        "edited_at": letter.edited_at.isoformat() if letter.edited_at else None,
        "attributes": dict(letter.attributes),
        "data": letter.data.decode(errors="replace"),
    }
    print(json.dumps(shown, indent=2, ensure_ascii=False))
