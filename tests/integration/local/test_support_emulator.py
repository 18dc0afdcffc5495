"""The emulator fixture: a fresh one answers, keeps topics over a pause and loses them over a restart."""

import urllib.error
import urllib.request

import pytest

from tests.support.emulator import Emulator


def put_topic(emulator: Emulator, name: str) -> None:
    request = urllib.request.Request(
        f"http://{emulator.host}/v1/projects/p/topics/{name}",
        method="PUT",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


def topic_status(emulator: Emulator, name: str) -> int:
    try:
        with urllib.request.urlopen(
            f"http://{emulator.host}/v1/projects/p/topics/{name}", timeout=5
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.fixture
def emulator_with_topic(own_emulator: Emulator) -> Emulator:
    put_topic(own_emulator, "kept")
    return own_emulator


def test_topics_are_gone_when_the_emulator_restarts(emulator_with_topic: Emulator) -> None:
    assert topic_status(emulator_with_topic, "kept") == 200
    emulator_with_topic.restart()
    assert topic_status(emulator_with_topic, "kept") == 404


def test_topics_stay_when_the_emulator_pauses(emulator_with_topic: Emulator) -> None:
    emulator_with_topic.pause()
    with pytest.raises(OSError, match="timed out"):
        urllib.request.urlopen(f"http://{emulator_with_topic.host}", timeout=0.3)
    emulator_with_topic.resume()
    assert topic_status(emulator_with_topic, "kept") == 200
