"""A throw-away Postgres for a test session, and a fresh database in it for each test that asks."""

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.absence import skip_unless_ci
from tests.support.bound_process import bound_to_this_process
from tests.support.ports import free_port

START_SECONDS = 90
USER = "tandem"

# A crash of the machine may take a test's data with it; in return a test does not wait for the disk.
FASTER = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200"]


class PostgresServer:
    """One cluster in a temporary folder, reachable on loopback without a password."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._system_user = _unprivileged_user()
        self._folder = Path(tempfile.mkdtemp(prefix="tandem-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._system_user:
            account = pwd.getpwnam(self._system_user)
            os.chown(self._folder, account.pw_uid, account.pw_gid)

    def start(self) -> None:
        data = self._folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-sync")
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        bound = bound_to_this_process(signal.SIGQUIT)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*bound, self._binaries / "postgres", "-D", data, *address, *FASTER],
                cwd=self._folder,
                user=self._system_user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers(self._process)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(
                signal.SIGINT
            )  # the "fast" shutdown: sessions are ended, not waited for
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement as the owner and return psql's bare output."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        return self._run("psql", *where, "-v", "ON_ERROR_STOP=1", "-qtAX", "-c", statement)

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            cwd=self._folder,
            user=self._system_user,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail(f"{program} failed:\n{done.stdout}{done.stderr}", pytrace=False)
        return done.stdout.strip()

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        asking = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while time.monotonic() < deadline and process.poll() is None:
            if subprocess.run(asking, check=False).returncode == 0:
                return
            time.sleep(0.05)
        pytest.fail(f"Postgres did not start:\n{(self._folder / 'log').read_text()[-3000:]}", pytrace=False)


def find_binaries() -> Path | None:
    """The newest folder that holds initdb, postgres and psql: Debian keeps them off the PATH."""
    on_path = shutil.which("initdb")
    beside = [Path(on_path).resolve().parent] if on_path else []
    by_version = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    needed = ("initdb", "postgres", "psql", "pg_isready")
    return next(
        (f for f in [*beside, *by_version] if all(os.access(f / name, os.X_OK) for name in needed)), None
    )


def _unprivileged_user() -> str | None:
    """Postgres refuses root; anyone else runs it as they are."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name for account in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    pytest.fail(
        f"{getpass.getuser()} may not run Postgres and there is no user postgres or nobody", pytrace=False
    )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server for the whole session."""
    binaries = find_binaries()
    if binaries is None:
        skip_unless_ci(
            "no initdb on the PATH or under /usr/lib/postgresql: install postgresql to run this test"
        )
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """SQLAlchemy's address (asyncpg) of an empty database that lives as long as the test."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)
