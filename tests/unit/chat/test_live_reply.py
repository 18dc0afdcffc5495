"""Readers of a reply in progress: any number, at any pace, from any position."""

import asyncio
from collections.abc import Awaitable, Callable

from tandem_chat.application.live_reply import LiveReply
from tandem_chat.domain.conversation import MessageState
from tests.support.chat_builders import eventually

TEXT = "The quick brown fox — 빠른 여우 🦊 — jumps."


async def _read(
    live: LiveReply, after: int, pieces: list[str], go_on: Callable[[], Awaitable[object]] | None = None
) -> None:
    async for piece in live.follow(after):
        pieces.append(piece)
        if go_on:
            await go_on()


async def test_every_reader_gets_all_text_from_its_position_on() -> None:
    live = LiveReply()
    read: dict[int, list[str]] = {after: [] for after in range(len(TEXT) + 1)}
    readers = [asyncio.create_task(_read(live, after, pieces)) for after, pieces in read.items()]

    for character in TEXT:
        live.append(character)
        await asyncio.sleep(0)
    live.end(MessageState.COMPLETED)
    await asyncio.wait_for(asyncio.gather(*readers), 30)

    assert {after: "".join(pieces) for after, pieces in read.items()} == {
        after: TEXT[after:] for after in range(len(TEXT) + 1)
    }
    assert len(read[0]) > 1


async def test_slow_reader_neither_holds_others_up_nor_misses_text() -> None:
    live = LiveReply()
    slow: list[str] = []
    quick: list[str] = []
    go_on = asyncio.Event()
    reluctant = asyncio.create_task(_read(live, 0, slow, go_on.wait))
    eager = asyncio.create_task(_read(live, 0, quick))

    live.append("first ")
    await eventually(lambda: slow and quick, "both readers to begin")
    for word in ("second ", "third"):
        live.append(word)
    live.end(MessageState.COMPLETED)
    await asyncio.wait_for(eager, 30)
    assert slow == ["first "]
    go_on.set()
    await asyncio.wait_for(reluctant, 30)

    assert "".join(quick) == "first second third"
    assert "".join(slow) == "first second third"


async def test_reader_who_comes_after_the_end_gets_the_rest_at_once() -> None:
    live = LiveReply()
    live.append(TEXT)
    live.end(MessageState.STOPPED)
    pieces: list[str] = []

    await asyncio.wait_for(_read(live, 10, pieces), 30)

    assert pieces == [TEXT[10:]]


async def test_reader_ahead_of_the_text_waits_and_gets_only_what_is_new_to_it() -> None:
    live = LiveReply()
    pieces: list[str] = []
    reader = asyncio.create_task(_read(live, 5, pieces))

    for word in ("abc", "defg", "h"):
        live.append(word)
        await asyncio.sleep(0)
    live.end(MessageState.COMPLETED)
    await asyncio.wait_for(reader, 30)

    assert "".join(pieces) == "fgh"
