"""One JSON object per log line on standard output, each with its service and, inside a span, its trace.

Code passes an event name as the message and facts as `extra`; conversation text never belongs in either.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter

# uvicorn's access log repeats what the request span already says, once per poll of a health check.
_QUIET_LOGGERS = {"uvicorn.access": logging.WARNING, "httpx": logging.WARNING, "alembic": logging.WARNING}


class _ServiceFormatter(JsonFormatter):
    def __init__(self, service: str) -> None:
        super().__init__(rename_fields={"message": "event"})
        self._service = service

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        log_data["service"] = self._service
        super().add_fields(log_data, record, message_dict)
        for noise in ("taskName", "color_message"):
            log_data.pop(noise, None)
        span_context = trace.get_current_span().get_span_context()
        if span_context.is_valid:
            log_data["trace_id"] = f"{span_context.trace_id:032x}"
            log_data["span_id"] = f"{span_context.span_id:016x}"


def configure_logging(service: str, level: str, stream: TextIO | None = None) -> None:
    """Make the root logger write JSON lines for `service` to `stream` (standard output by default).

    Calling it again replaces the former set-up. `level` is a name of the standard library ("INFO").
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(_ServiceFormatter(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, quiet_level in _QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(quiet_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
