"""Gives the tests of this folder a consumer's stage, with pauses short enough for unit tests."""

import pytest

from tandem_messaging import consumer as consumer_module
from tandem_messaging import memory
from tandem_messaging.memory import InMemoryBroker
from tests.support.consumer_stage import READER, Stage, WatchedSubscriber


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(consumer_module, "_FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(consumer_module, "_RETRY_FAILED_SECONDS", 1)
    monkeypatch.setattr(memory, "_PULL_WAIT_SECONDS", 0.02)
    broker = InMemoryBroker()
    stage = Stage(broker, WatchedSubscriber(broker.subscriber(READER)))
    stage.make_topology()
    return stage
