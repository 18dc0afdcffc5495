"""What an owner may use, and whether there is some of it left: replies a minute, replies at once, tokens a day."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tandem_chat.domain.errors import DailyTokensUsedError, RateLimitedError, TooManyRepliesError

MINUTE: Final = timedelta(minutes=1)
_SOON_SECONDS = 2.0


@dataclass(frozen=True)
class TokenUsage:
    """Tokens that a reply took: those that the model read, and those that it wrote."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class DayOfUsage:
    """What an owner used on one day (UTC, `YYYY-MM-DD`)."""

    day: str
    replies: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Activity:
    """What an owner does: when the replies of the last minute began, oldest first; those being written; tokens today."""

    now: datetime
    started: tuple[datetime, ...]
    writing: int
    tokens_today: int


@dataclass(frozen=True)
class Limits:
    """The most that each owner may use; None is no limit."""

    replies_per_minute: int | None = None
    replies_at_once: int | None = None
    tokens_per_day: int | None = None

    def require_room(self, activity: Activity) -> None:
        """Return when one more reply may begin.

        Raises:
            RateLimitedError, TooManyRepliesError, DailyTokensUsedError: not now; each tells when.
        """
        if self.replies_per_minute is not None and len(activity.started) >= self.replies_per_minute:
            raise RateLimitedError(
                f"expected at most {self.replies_per_minute} replies a minute; wait and send again",
                retry_after=self.seconds_until_next(activity),
            )
        if self.replies_at_once is not None and activity.writing >= self.replies_at_once:
            raise TooManyRepliesError(
                f"{activity.writing} replies are being written, which is the most at once; wait for one or stop it",
                retry_after=_SOON_SECONDS,
            )
        if self.tokens_per_day is not None and activity.tokens_today >= self.tokens_per_day:
            raise DailyTokensUsedError(
                f"all {self.tokens_per_day} tokens of today are used; there are new ones after midnight, UTC",
                retry_after=_seconds_to_midnight(activity.now),
            )

    def seconds_until_next(self, activity: Activity) -> int:
        """Return when the oldest reply leaves the minute, so that there is room for one more."""
        if not activity.started:
            return 0
        return max(1, math.ceil((activity.started[0] + MINUTE - activity.now).total_seconds()))


def _seconds_to_midnight(now: datetime) -> float:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - now).total_seconds()
