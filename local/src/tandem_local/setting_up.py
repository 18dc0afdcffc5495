"""Makes the environments that are missing or out of date, several at a time, and tells how far it is."""

import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

from tandem_local.checkout import ROOT
from tandem_local.complaint import ComplaintError
from tandem_local.environment_building import Builder, locked_names
from tandem_local.environments import Environment

TELL_EVERY_SECONDS = 10.0


def set_up(missing: list[Environment]) -> None:
    """Make these environments current. Safe to interrupt and to run again.

    Raises:
        ComplaintError: An installation failed or was interrupted; the message says what to do.
    """
    try:
        _SettingUp(missing).run()
    except KeyboardInterrupt:
        raise ComplaintError(
            "Interrupted. Run the same command again: what is finished is not done twice."
        ) from None


class _SettingUp:
    def __init__(self, environments: list[Environment]) -> None:
        self._environments = environments
        self._started = time.monotonic()
        self._print_lock = threading.Lock()
        self._builders = {e.name: Builder(e, partial(self._say, e.name)) for e in environments}

    def run(self) -> None:
        names = ", ".join(environment.name for environment in self._environments)
        print(f"Setting up {names} under .venvs; pip's own words are in .run/logs/setup.", flush=True)
        workers = max(2, min(len(self._environments), os.cpu_count() or 2))
        with ThreadPoolExecutor(max_workers=workers) as pool:
            pending = {pool.submit(self._build, environment) for environment in self._environments}
            try:
                self._watch(pending)
            except BaseException:
                for future in pending:
                    future.cancel()
                for builder in self._builders.values():
                    builder.stop()
                raise

    def _watch(self, pending: set[Future[None]]) -> None:
        while pending:
            done, pending = wait(pending, timeout=TELL_EVERY_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            if not done:
                self._tell_progress()

    def _build(self, environment: Environment) -> None:
        started = time.monotonic()
        self._builders[environment.name].build()
        self._say(environment.name, f"is ready after {time.monotonic() - started:.0f} s")

    def _tell_progress(self) -> None:
        for environment in self._environments:
            if not environment.is_current() and (words := self._progress(environment)):
                self._say(environment.name, words)

    def _progress(self, environment: Environment) -> str | None:
        try:
            log = self._builders[environment.name].log.read_text(errors="replace")
        except FileNotFoundError:
            return None
        if "Obtaining file:" in log:
            return None
        if "Installing collected packages" in log:
            return "unpacks the packages"
        fetched = log.count("\nCollecting ") + log.startswith("Collecting ")
        return (
            f"has fetched {fetched} of {len(locked_names(ROOT / environment.lock))} packages"
            if fetched
            else None
        )

    def _say(self, name: str, text: str) -> None:
        with self._print_lock:
            print(f"{time.monotonic() - self._started:5.0f} s  {name:9} {text}", flush=True)
