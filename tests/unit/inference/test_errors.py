"""The table that gives every error of a request its HTTP status."""

from tandem_inference.errors import (
    InferenceError,
    PermanentError,
    SmallModelError,
    StartError,
    TransientError,
)
from tandem_inference.gateway.openai_errors import KINDS

# Bases are never raised; the others happen before there is anyone to answer.
_NEVER_ANSWERED = {PermanentError, TransientError, StartError, SmallModelError}


def _all_below(root: type[InferenceError]) -> set[type[InferenceError]]:
    return {root}.union(*map(_all_below, root.__subclasses__())) if root.__subclasses__() else {root}


def test_every_error_of_a_request_has_a_status() -> None:
    assert _all_below(InferenceError) - {InferenceError} - _NEVER_ANSWERED == set(KINDS)
