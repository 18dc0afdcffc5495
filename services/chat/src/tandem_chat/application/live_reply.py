"""The text of a reply while this process writes it, for any number of readers at their own pace.

A slow reader holds nobody up: it reads from the shared text when it gets to it.
"""

import asyncio
from collections.abc import AsyncIterator

from tandem_chat.domain.conversation import MessageState


class LiveReply:
    """Text that only grows, until it ends; positions count Unicode code points."""

    def __init__(self) -> None:
        self.text = ""
        self.state = MessageState.QUEUED
        self._changed = asyncio.Event()

    def append(self, text: str) -> None:
        """Add text and let readers know."""
        self.text += text
        self.state = MessageState.RUNNING
        self._announce()

    def end(self, state: MessageState) -> None:
        """Say that nothing more comes; call it once the end is stored."""
        self.state = state
        self._announce()

    async def follow(self, after: int) -> AsyncIterator[str]:
        """Yield the text from position `after` on, piece by piece, until the end."""
        while True:
            changed = self._changed
            if piece := self.text[after:]:
                after += len(piece)
                yield piece
                continue
            if self.state.is_final:
                return
            await changed.wait()

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
