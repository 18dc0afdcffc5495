"""The route of an owner's usage, and the headers that tell how many replies are left in this minute."""

from datetime import date
from typing import Annotated, Final, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tandem_chat.bootstrap import UseCases
from tandem_chat.domain.allowance import DayOfUsage, Limits
from tandem_chat.domain.errors import DailyTokensUsedError, RateLimitedError, TooManyRepliesError
from tandem_chat.entrypoints.http.dependencies import UseCasesDep
from tandem_chat.entrypoints.http.documentation import problems

router = APIRouter(prefix="/v1", tags=["usage"], responses=problems())

LIMIT_ERRORS: Final = (RateLimitedError, TooManyRepliesError, DailyTokensUsedError)


class LimitsBody(BaseModel):
    """The most that the caller may use; null is no limit."""

    replies_per_minute: int | None
    replies_at_once: int | None
    tokens_per_day: int | None


class DayBody(BaseModel):
    """What the caller used on one day, UTC."""

    day: date
    replies: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class UsageBody(BaseModel):
    """The caller's usage, newest day first; days without any are left out."""

    limits: LimitsBody
    days: list[DayBody]

    @classmethod
    def of(cls, limits: Limits, days: list[DayOfUsage]) -> Self:
        """Show `days` beside `limits`."""
        return cls(
            limits=LimitsBody.model_validate(limits, from_attributes=True),
            days=[DayBody.model_validate(day, from_attributes=True) for day in days],
        )


@router.get("/usage")
async def read_usage(use_cases: UseCasesDep, days: Annotated[int, Query(ge=1, le=366)] = 30) -> UsageBody:
    """Read how many replies and tokens were used each day."""
    return UsageBody.of(use_cases.usage.limits, list(await use_cases.usage.days(days)))


async def rate_headers(use_cases: UseCases) -> dict[str, str]:
    """Return the headers of draft-ietf-httpapi-ratelimit-headers, none without a limit."""
    left = await use_cases.usage.replies_left()
    if left is None:
        return {}
    return {
        "RateLimit-Policy": f'"replies";q={left.limit};w=60',
        "RateLimit": f'"replies";r={left.remaining};t={left.seconds}',
    }
