"""Cuts the bytes that an engine prints into readable lines, and remembers the last of them."""

import re
from collections import deque
from collections.abc import Callable

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LINE_ENDS = re.compile(rb"[\r\n]+")
_LONGEST_LINE = 4000


class OutputLines:
    """Feed it bytes as they come; `on_line` receives each line that is not blank."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._unfinished = b""
        self._last: deque[str] = deque(maxlen=40)

    def feed(self, data: bytes) -> None:
        """Take more bytes; a carriage return ends a line too, as progress bars use it."""
        *lines, self._unfinished = _LINE_ENDS.split(self._unfinished + data)
        for line in lines:
            self._tell(line)
        if len(self._unfinished) > _LONGEST_LINE:
            self.end()

    def end(self) -> None:
        """Take what is left for a line."""
        self._tell(self._unfinished)
        self._unfinished = b""

    def last_complaint(self) -> str:
        """The last line that looks like an error, else the last line."""
        errors = [line for line in self._last if "Error" in line or "error:" in line]
        return (errors or list(self._last) or ["it printed nothing"])[-1]

    def _tell(self, raw: bytes) -> None:
        line = _COLOURS.sub("", raw.decode("utf-8", errors="replace")).strip()[:_LONGEST_LINE]
        if line:
            self._last.append(line)
            self._on_line(line)
