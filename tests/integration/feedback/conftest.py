"""Gives the tests of this folder a feedback database of each kind, and workers as processes between Pub/Sub and an engine."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from shutil import copyfile

import pytest

from tests.support.databases import database_url
from tests.support.emulator import Emulator
from tests.support.engine_server import EngineServer
from tests.support.feedback_bench import FeedbackBench, open_bench
from tests.support.feedback_stranger import Stranger, make_topics
from tests.support.feedback_worker import FeedbackWorker
from tests.support.pubsub_rest import PubSubOverRest

__all__ = ["database_url"]


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[FeedbackBench]:
    async with open_bench(database_url) as bench:
        yield bench


@pytest.fixture
def project(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    return make_topics(emulator.host, monkeypatch)


@pytest.fixture
def stranger(emulator: Emulator, project: str) -> Stranger:
    return Stranger(PubSubOverRest(emulator.host, project))


@pytest.fixture
def inference() -> Iterator[EngineServer]:
    server = EngineServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    FeedbackWorker(folder, emulator_host="", project="none", inference_url="http://nowhere").run("migrate")
    return folder / "feedback.db"


@pytest.fixture
def folder(migrated_database: Path, tmp_path: Path) -> Path:
    """Where the workers of one test keep everything; holds their migrated database."""
    copyfile(migrated_database, tmp_path / migrated_database.name)
    return tmp_path


@pytest.fixture
def new_worker(
    emulator: Emulator, project: str, inference: EngineServer, folder: Path
) -> Iterator[Callable[..., FeedbackWorker]]:
    """Start a worker; keyword arguments are its settings."""
    started: list[FeedbackWorker] = []

    def start(**settings: str) -> FeedbackWorker:
        worker = FeedbackWorker(
            folder, emulator_host=emulator.host, project=project, inference_url=inference.url, **settings
        )
        started.append(worker)
        worker.start()
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.client.close()
