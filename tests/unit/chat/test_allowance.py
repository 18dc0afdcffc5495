"""What is left of an owner's minute and day, and when there is more."""

from datetime import UTC, datetime, timedelta

import pytest

from tandem_chat.domain.allowance import Activity, Limits
from tandem_chat.domain.errors import DailyTokensUsedError, RateLimitedError, TooManyRepliesError

NOW = datetime(2026, 3, 1, 23, 0, 0, tzinfo=UTC)


def activity(*seconds_ago: float, writing: int = 0, tokens_today: int = 0) -> Activity:
    return Activity(NOW, tuple(NOW - timedelta(seconds=s) for s in seconds_ago), writing, tokens_today)


def test_there_is_room_just_under_every_limit() -> None:
    Limits(3, 2, 100).require_room(activity(50, 10, writing=1, tokens_today=99))


def test_no_limit_is_none() -> None:
    Limits().require_room(activity(*range(59, 0, -1), writing=1000, tokens_today=10**12))


def test_full_minute_tells_when_its_oldest_reply_leaves_it() -> None:
    with pytest.raises(RateLimitedError) as refused:
        Limits(replies_per_minute=2).require_room(activity(50, 10))
    assert refused.value.retry_after == 10


def test_as_many_at_once_as_may_be_refuse_one_more() -> None:
    with pytest.raises(TooManyRepliesError) as refused:
        Limits(replies_at_once=2).require_room(activity(writing=2))
    assert refused.value.retry_after


def test_used_up_day_tells_the_time_to_midnight() -> None:
    with pytest.raises(DailyTokensUsedError) as refused:
        Limits(tokens_per_day=100).require_room(activity(tokens_today=100))
    assert refused.value.retry_after == 3600
