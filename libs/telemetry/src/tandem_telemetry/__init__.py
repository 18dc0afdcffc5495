"""What each service does first and last: JSON logs, traces and metrics, set up the same way everywhere.

Business code only logs with the standard library and opens spans with `opentelemetry.trace`; it never configures either.
"""

from tandem_telemetry.http import instrument_app, instrument_client
from tandem_telemetry.propagation import current_trace_id, extract_context, inject_context
from tandem_telemetry.setup import Telemetry, configure_telemetry

__all__ = [
    "Telemetry",
    "configure_telemetry",
    "current_trace_id",
    "extract_context",
    "inject_context",
    "instrument_app",
    "instrument_client",
]
__version__ = "0.1.0"
