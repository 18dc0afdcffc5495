"""Reads one line of vLLM's output: its level, and its text without the process, time and place that our own log says anyway."""

import logging
import re
from typing import Final

_VLLM_LINE: Final = re.compile(
    r"^(?:\(\w+ pid=\d+\) )?(?P<level>[A-Z]+) \d\d-\d\d \d\d:\d\d:\d\d \[(?P<place>[^\]]*)\] ?(?P<text>.*)$"
)
_LEVELS: Final = {"CRITICAL": logging.CRITICAL, "ERROR": logging.ERROR, "WARNING": logging.WARNING}
# Right on a desk, noise for whoever runs it: fifty routes at each start, throughput every ten seconds (which is in the
# metrics), the banner's blocks, and the words of Python's warnings about vLLM's own code.
_FOR_DEBUGGING: Final = re.compile(
    r"^Route: /|^Engine \d+: Avg prompt throughput|DeprecationWarning:|^warnings\.warn\(|^[\s▀▄█]*$|[▀▄█]{2}"
)


def read_line(line: str) -> tuple[int, str]:
    """Return the logging level of `line` and what it says; lines that are not vLLM's own are information as they are."""
    found = _VLLM_LINE.match(line)
    level = _LEVELS.get(found["level"], logging.INFO) if found else logging.INFO
    text = found["text"] if found else line
    return (logging.DEBUG if _FOR_DEBUGGING.search(text) else level), text
