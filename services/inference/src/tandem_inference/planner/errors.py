"""The planner's error tree; callers map it to an exit code, a 400 answer or a log line.

PlannerError
├── InvalidValueError      a field is missing, of the wrong type or out of range
├── UnknownModelError      nothing is known about this model's shape
├── ClosedModelError       the model's weights are not published, so nobody can serve it
└── UnreadableConfigError  a config.json (or engines.yaml, or log) cannot be understood
"""

from __future__ import annotations


class PlannerError(ValueError):
    """The planner refuses to answer; the message says what came and what was expected.

    Attributes:
        code: a stable word for programs.
        field: the field at fault, if one is.
    """

    code = "planner_error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidValueError(PlannerError):
    """A value is missing, of the wrong type or out of range."""

    code = "invalid_value"


class UnknownModelError(PlannerError):
    """The model is neither in the catalogue nor given by a config.json or parameters."""

    code = "unknown_model"


class ClosedModelError(PlannerError):
    """The model exists only behind its maker's API: there are no weights to serve or to measure."""

    code = "closed_model"


class UnreadableConfigError(PlannerError):
    """A document given to the planner lacks fields, or its fields contradict their types."""

    code = "unreadable_config"
