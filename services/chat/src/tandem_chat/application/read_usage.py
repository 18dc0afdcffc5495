"""Tells an owner what was used and what may be used still."""

from collections.abc import Sequence
from dataclasses import dataclass

from tandem_chat.application.ports import Store
from tandem_chat.domain.allowance import DayOfUsage, Limits


@dataclass(frozen=True)
class RepliesLeft:
    """Of `limit` replies a minute `remaining` may begin now; `seconds` until there is room for one more."""

    limit: int
    remaining: int
    seconds: int


class ReadUsage:
    """The use cases of an owner's own counts."""

    def __init__(self, store: Store, owner: str, limits: Limits) -> None:
        self.limits = limits
        self._store = store
        self._owner = owner

    async def days(self, days: int) -> Sequence[DayOfUsage]:
        """Return the last `days` days on which anything was used, newest first."""
        async with self._store.read() as transaction:
            return await transaction.usage(self._owner, days=days)

    async def replies_left(self) -> RepliesLeft | None:
        """Return how many replies may begin now; None without a limit."""
        if self.limits.replies_per_minute is None:
            return None
        async with self._store.read() as transaction:
            activity = await transaction.activity(self._owner)
        limit = self.limits.replies_per_minute
        remaining = max(0, limit - len(activity.started))
        return RepliesLeft(limit, remaining, self.limits.seconds_until_next(activity))
