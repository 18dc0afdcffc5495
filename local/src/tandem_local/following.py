"""Follows log files as they grow, over rotation; how a line looks is `event_lines`'s business."""

import os
import threading
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

POLL_SECONDS = 0.1


class LogFollower:
    """Hands every whole new line of the named files to `show`, from a thread of its own."""

    def __init__(self, files: dict[str, Path], show: Callable[[str, str], None]) -> None:
        self._tails = {name: _Tail(path) for name, path in files.items()}
        self._show = show
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log-follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Show what has been written until now and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self._show_new_lines()
        self._show_new_lines()

    def _show_new_lines(self) -> None:
        for name, tail in self._tails.items():
            for line in tail.new_lines():
                self._show(name, line)


class _Tail:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BufferedReader | None = None
        self._partial = b""

    def new_lines(self) -> list[str]:
        text = self._partial + self._read()
        *whole, self._partial = text.split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in whole if line.strip()]

    def _read(self) -> bytes:
        text = self._file.read() if self._file else b""
        if self._file is None or self._was_rotated(self._file):
            if self._file is not None:
                self._file.close()
            self._file = self._path.open("rb") if self._path.exists() else None
            text += self._file.read() if self._file else b""
        return text

    def _was_rotated(self, file: BufferedReader) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            return False
