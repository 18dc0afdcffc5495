"""Each error that chat expects has its place in the table of problems, and every problem has the one shape."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tandem_chat.domain import errors
from tandem_chat.domain.conversation import Message, MessageState, Role
from tandem_chat.entrypoints.http.problems import (
    PROBLEMS,
    problem_of,
    problem_of_failed_reply,
    problem_response,
)
from tandem_contracts.problem import PROBLEM_MEDIA_TYPE, Problem
from tandem_messaging.errors import DatabaseUnavailableError, PermanentError, TandemError, TransientError


def _leaves(error: type[TandemError]) -> Iterator[type[TandemError]]:
    below = error.__subclasses__()
    if not below:
        yield error
    for derived in below:
        yield from _leaves(derived)


CHATS_OWN = sorted(
    (error for error in _leaves(TandemError) if error.__module__ == errors.__name__),
    key=lambda error: error.__name__,
)


def test_table_holds_every_error_of_chat_and_the_databases_outage_and_nothing_else() -> None:
    assert set(PROBLEMS) == {*CHATS_OWN, DatabaseUnavailableError}


def test_codes_tell_errors_apart() -> None:
    codes = [code for _, code in PROBLEMS.values()]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", CHATS_OWN)
def test_problem_of_every_error_has_the_shape(error: type[TandemError]) -> None:
    response = problem_response(problem_of(error("what happened"), "/v1/somewhere"))

    problem = Problem.model_validate_json(bytes(response.body))
    assert response.media_type == PROBLEM_MEDIA_TYPE
    assert (problem.status, problem.code) == PROBLEMS[error]
    assert (problem.detail, problem.instance) == ("what happened", "/v1/somewhere")


@pytest.mark.parametrize("error", CHATS_OWN)
def test_waiting_errors_ask_to_come_back_and_permanent_ones_are_mostly_the_callers(
    error: type[TandemError],
) -> None:
    status, _ = PROBLEMS[error]

    assert issubclass(error, TransientError) != issubclass(error, PermanentError)
    if issubclass(error, TransientError):
        assert status in (429, 502, 503)
    else:
        assert 400 <= status < 500 or error is errors.EngineRefusedError


def test_error_outside_the_table_is_a_defect() -> None:
    class UnheardOfError(PermanentError):
        pass

    with pytest.raises(KeyError):
        problem_of(UnheardOfError("new"))


@pytest.mark.parametrize(
    ("code", "status"),
    [("engine_not_ready", 503), ("engine_broke_off", 502), ("internal_error", 500), (None, 500)],
)
def test_failed_reply_is_told_in_the_same_shape(code: str | None, status: int) -> None:
    reply = Message(
        "r",
        "c",
        1,
        Role.ASSISTANT,
        "half",
        MessageState.FAILED,
        datetime.now(UTC),
        error_code=code,
        error_detail="why",
    )

    problem = problem_of_failed_reply(reply)

    assert (problem.status, problem.code) == (status, code or "internal_error")
