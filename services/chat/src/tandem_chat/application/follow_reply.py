"""Reads a reply from any position and follows it to its end, whoever writes it; and stops it."""

import asyncio
from collections.abc import AsyncIterator

from tandem_chat.application.ports import Store
from tandem_chat.application.run_replies import ReplyRunner
from tandem_chat.domain.conversation import Message, Role
from tandem_chat.domain.errors import MessageNotFoundError

_OTHER_PROCESS_POLL_SECONDS = 0.25


class FollowReply:
    """The use cases of a reader."""

    def __init__(self, store: Store, runner: ReplyRunner) -> None:
        self._store = store
        self._runner = runner

    async def read(self, message_id: str) -> Message:
        """Return a reply as it is stored. Raises MessageNotFoundError."""
        async with self._store.read() as transaction:
            message = await transaction.message(message_id)
        if message.role != Role.ASSISTANT:
            raise MessageNotFoundError(f"reply {message_id}: not found")
        return message

    async def follow(self, message_id: str, *, after: int) -> AsyncIterator[tuple[int, str]]:
        """Yield `(position, text)` from position `after` on until the reply ends; position is where the text ends.

        Ends early, without an error, when the reply is deleted meanwhile.
        """
        while True:
            if (live := self._runner.live(message_id)) is not None:
                async for text in live.follow(after):
                    after += len(text)
                    yield after, text
                return
            try:
                message = await self.read(message_id)
            except MessageNotFoundError:
                return
            if text := message.content[after:]:
                after += len(text)
                yield after, text
            if message.state.is_final:
                return
            await asyncio.sleep(_OTHER_PROCESS_POLL_SECONDS)

    async def stop(self, message_id: str) -> Message:
        """Ask whoever writes the reply to stop; one that has ended stays as it is. Raises MessageNotFoundError."""
        message = await self.read(message_id)
        if not message.state.is_final:
            async with self._store.write() as transaction:
                await transaction.request_stop(message_id)
            self._runner.stop(message_id)
        return message
