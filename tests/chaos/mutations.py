"""Removes one guard at a time from a copy of the source and shows that a test notices: `make mutations`.

A guard whose removal no test notices is no guard. The same tests are run on the unchanged copy first, where they must pass.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("libs", "services/feedback", "tests", "pyproject.toml")
SOURCES = ("libs/contracts/src", "libs/messaging/src", "libs/telemetry/src", "services/feedback/src")
STORE = "services/feedback/src/tandem_feedback/adapters/sql/store.py"
TABLES = "services/feedback/src/tandem_feedback/adapters/sql/tables.py"
HANDLE = "services/feedback/src/tandem_feedback/application/handle_request.py"
MESSAGING = "libs/messaging/src/tandem_messaging"
PASSED, FAILED = 0, 1  # pytest's exit codes


@dataclass(frozen=True)
class Mutation:
    """`changes` are (file, text, text instead); `test` is the smallest one that must fail with them."""

    guard: str
    changes: tuple[tuple[str, str, str], ...]
    test: str


MUTATIONS = (
    Mutation(
        "unique key: one job per request id",
        (
            (
                TABLES,
                '"jobs",\n    metadata,\n    Column("request_id", String(128), primary_key=True)',
                '"jobs",\n    metadata,\n    Column("request_id", String(128))',
            ),
        ),
        "tests/integration/feedback/test_store.py::test_request_is_one_job_however_often_and_at_once_it_comes[sqlite]",
    ),
    Mutation(
        "claim: one worker at a time",
        ((STORE, "if row.leased_until is not None and row.leased_until > now:", "if row is None:"),),
        "tests/unit/feedback/test_handle_request.py::test_one_delivery_works_and_the_others_wait_when_several_come_at_once",
    ),
    Mutation(
        "fence: a late worker changes nothing",
        ((STORE, "jobs.c.fence == claim.fence, running)", "running)"),),
        "tests/integration/feedback/test_store.py::test_old_claim_can_do_nothing_once_another_worker_has_the_job[sqlite]",
    ),
    Mutation(
        "acknowledge last",
        (
            (
                f"{MESSAGING}/consumer.py",
                "                content = self._read(message)\n",
                "                content = self._read(message)\n                await self._acknowledge(message)\n",
            ),
        ),
        "tests/unit/messaging/test_consumer.py::test_acknowledgement_comes_last_when_the_handler_succeeds",
    ),
    Mutation(
        "outbox transaction: outcome and event together",
        (
            (
                STORE,
                "        await self.announce(outcome)\n        if row.webhook_url",
                "        if row.webhook_url",
            ),
            (
                HANDLE,
                "        if not stored:\n",
                "        if stored:\n            async with self._store.write() as transaction:\n                await transaction.announce(outcome)\n        if not stored:\n",
            ),
        ),
        "tests/unit/feedback/test_handle_request.py::test_result_is_not_stored_when_its_event_cannot_be",
    ),
    Mutation(
        "relay: a row is deleted after the broker's answer",
        (
            (
                f"{MESSAGING}/relay.py",
                "                await self._publish(batch[0].topic, batch)\n                await self._forget(batch)\n",
                "                await self._forget(batch)\n                await self._publish(batch[0].topic, batch)\n",
            ),
        ),
        "tests/integration/messaging/test_outbox.py::test_rows_stay_while_the_broker_is_down_and_leave_when_it_is_back[sqlite]",
    ),
    Mutation(
        "relay's claim: two relays share the rows",
        ((f"{MESSAGING}/outbox.py", "select(table.c.id).where(free)", "select(table.c.id)"),),
        "tests/integration/messaging/test_outbox.py::test_relay_leaves_rows_alone_that_another_one_is_publishing[sqlite]",
    ),
    Mutation(
        "inbox: an effect happens once",
        (
            (
                f"{MESSAGING}/inbox.py",
                "    return (await session.execute(statement.returning(table.c.key))).first() is not None",
                "    await session.execute(statement)\n    return True",
            ),
        ),
        "tests/integration/messaging/test_inbox.py::test_key_is_new_once[sqlite]",
    ),
)


def main() -> int:
    """Print a table and return 0 only when every guard's removal was noticed."""
    with tempfile.TemporaryDirectory(prefix="tandem-mutations-") as folder:
        copy = Path(folder)
        for name in COPIED:
            _copy(ROOT / name, copy / name)
        unchanged = _pytest(copy, *(mutation.test for mutation in MUTATIONS))
        if unchanged != PASSED:
            sys.stderr.write(
                "the tests do not pass on the unchanged source: nothing follows from their failing\n"
            )
            return 1
        noticed = [_try(copy, mutation) for mutation in MUTATIONS]
    sys.stdout.write(f"mutations: {sum(noticed)} of {len(noticed)} noticed\n")
    return 0 if all(noticed) else 1


def _try(copy: Path, mutation: Mutation) -> bool:
    started = time.monotonic()
    for name, text, instead in mutation.changes:
        source = (copy / name).read_text(encoding="utf-8")
        if source.count(text) != 1:
            sys.stderr.write(f"{mutation.guard}: expected this once in {name}:\n{text}\n")
            return False
        (copy / name).write_text(source.replace(text, instead), encoding="utf-8")
    try:
        code = _pytest(copy, mutation.test)
    finally:
        for name, _, _ in mutation.changes:
            _copy(ROOT / name, copy / name)
    verdict = {PASSED: "NOT NOTICED", FAILED: "noticed"}.get(code, f"pytest ended with {code}")
    name = mutation.test.rsplit("::", 1)[-1]
    sys.stdout.write(f"  {mutation.guard:52}{verdict:14}{time.monotonic() - started:6.1f} s  {name}\n")
    sys.stdout.flush()
    return code == FAILED


def _pytest(copy: Path, *tests: str) -> int:
    paths = os.pathsep.join(str(copy / source) for source in SOURCES)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (PASSED, FAILED):
        sys.stderr.write(done.stdout[-3000:] + done.stderr[-3000:])
    return done.returncode


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", ".venv", "*.egg-info", "build")
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    sys.exit(main())
