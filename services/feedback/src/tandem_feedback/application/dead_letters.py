"""Works with dead letters: keeps what the dead-letter topic brings, and lets somebody list, mend, replay and purge it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tandem_feedback.domain.dead_letter import DeadLetter, Death, LetterFilter, LetterState

logger = logging.getLogger(__name__)

_LETTERS_AT_ONCE = 100
_PURGE_EVERY_SECONDS = 3600.0
Position = tuple[datetime, str]


class DeadLetterBox(Protocol):
    """Where dead letters are kept. Each method is one transaction."""

    async def keep(self, death: Death) -> DeadLetter | None:
        """Store a death; None when it was told before. A replayed letter that dies again is marked instead."""

    async def one(self, letter_id: str) -> DeadLetter:
        """Raises DeadLetterNotFoundError."""

    async def some(
        self, wanted: LetterFilter, *, limit: int, before: Position | None = None
    ) -> Sequence[DeadLetter]:
        """Return letters, the latest death first."""

    async def edit(
        self, letter_id: str, *, data: bytes | None, attributes: Mapping[str, str] | None
    ) -> DeadLetter:
        """Change what is not None. Raises DeadLetterNotFoundError."""

    async def replay(self, letter_ids: Sequence[str]) -> Sequence[str]:
        """Send letters to the topic of requests once more, marked as replays; return the ids of those that were there.

        The job of an unchanged letter that had failed for good after too many attempts may be tried again.
        """

    async def purge(self, wanted: LetterFilter, letter_ids: Sequence[str] | None = None) -> int:
        """Delete letters (of these ids, if given) and return how many they were."""


class DeadLetters:
    """The use cases of whoever looks after what went wrong."""

    def __init__(self, box: DeadLetterBox, *, kept: timedelta, on_committed: Callable[[], None]) -> None:
        self._box = box
        self._kept = kept
        self._on_committed = on_committed

    async def keep(self, death: Death) -> None:
        """Take in what the dead-letter topic brought, once however often it is delivered."""
        letter = await self._box.keep(death)
        if letter is not None:
            logger.warning(
                "dead_letter.kept",
                extra={"id": letter.id, "code": letter.code, "state": letter.state.value},
            )

    async def one(self, letter_id: str) -> DeadLetter:
        """Raises DeadLetterNotFoundError."""
        return await self._box.one(letter_id)

    async def page(
        self, wanted: LetterFilter, *, limit: int, before: Position | None = None
    ) -> tuple[Sequence[DeadLetter], Position | None]:
        """Return up to `limit` letters, the latest death first, and where the next page starts, if there is one."""
        found = await self._box.some(wanted, limit=limit + 1, before=before)
        shown = found[:limit]
        return shown, (shown[-1].died_at, shown[-1].id) if len(found) > limit else None

    async def edit(
        self, letter_id: str, *, data: bytes | None = None, attributes: Mapping[str, str] | None = None
    ) -> DeadLetter:
        """Mend a letter. A request that was changed needs a `request_id` of its own."""
        return await self._box.edit(letter_id, data=data, attributes=attributes)

    async def replay_one(self, letter_id: str) -> DeadLetter:
        """Send one letter again, whatever became of it before. Raises DeadLetterNotFoundError."""
        await self._box.one(letter_id)
        await self._box.replay([letter_id])
        self._on_committed()
        return await self._box.one(letter_id)

    async def replay_all(self, code: str | None, *, again: bool) -> int:
        """Send every letter of this reason again; those that died again already only when `again` says so."""
        states = [LetterState.DEAD, *([LetterState.DIED_AGAIN] if again else [])]
        replayed = 0
        # Letters that die while this runs wait for the next time: this must come to an end.
        until = datetime.now(UTC)
        for state in states:
            wanted = LetterFilter(code, state, died_before=until)
            while letters := await self._box.some(wanted, limit=_LETTERS_AT_ONCE):
                replayed += len(await self._box.replay([letter.id for letter in letters]))
                self._on_committed()
        return replayed

    async def purge_one(self, letter_id: str) -> None:
        """Delete one letter. Raises DeadLetterNotFoundError."""
        await self._box.one(letter_id)
        await self._box.purge(LetterFilter(), [letter_id])

    async def purge_all(self, wanted: LetterFilter) -> int:
        """Delete every letter that is meant, and return how many they were."""
        return await self._box.purge(wanted)

    async def run(self) -> None:
        """Delete what has been kept for long enough, now and then, until cancelled."""
        while True:
            await self.forget_old()
            await asyncio.sleep(_PURGE_EVERY_SECONDS)

    async def forget_old(self) -> None:
        """Delete what has been kept for long enough."""
        purged = await self._box.purge(LetterFilter(died_before=datetime.now(UTC) - self._kept))
        if purged:
            logger.info("dead_letter.purged", extra={"letters": purged})
