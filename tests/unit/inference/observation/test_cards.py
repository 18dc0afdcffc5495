"""What NVML tells, and what is told when it does not: no card, no driver, one lost, a field that a card does not have."""

import pynvml
import pytest

from tandem_inference.observation.cards import CardProcess, CardReader
from tests.support.fake_nvml import GIB, FakeCard, FakeNvml, nvml_error


def test_the_stand_in_has_only_functions_that_the_library_has() -> None:
    functions = [name for name in dir(FakeNvml) if name.startswith("nvml")]
    assert len(functions) > 5
    assert [name for name in functions if not callable(getattr(pynvml, name, None))] == []


def test_each_card_is_told_with_its_memory_load_and_processes() -> None:
    nvml = FakeNvml(FakeCard(processes=[(41, 3 * GIB), (40, 16 * GIB)], drawing=[(41, 3 * GIB)]), FakeCard())
    told = CardReader(nvml).read()
    assert (told.reason, told.driver_version) == (None, "580.95.05")
    first, second = told.cards
    assert (first.index, first.name, first.uuid) == (0, "NVIDIA L4", "GPU-0")
    assert (first.total_bytes, first.used_bytes, first.free_bytes) == (22 * GIB, 20 * GIB, 2 * GIB)
    assert (first.utilization_percent, first.memory_utilization_percent) == (87, 40)
    assert first.processes == (CardProcess(40, 16 * GIB), CardProcess(41, 3 * GIB))
    assert (second.index, second.processes, second.untold) == (1, (), {})


@pytest.mark.parametrize("code", ["LIBRARY_NOT_FOUND", "DRIVER_NOT_LOADED", "LIB_RM_VERSION_MISMATCH"])
def test_a_machine_without_a_working_driver_says_so_in_one_sentence(code: str) -> None:
    nvml = FakeNvml()
    nvml.mistakes["nvmlInit"] = nvml_error(code)
    told = CardReader(nvml).read()
    assert told.cards == ()
    assert told.reason == f"NVML tells of no NVIDIA card here: {nvml_error(code)}."


def test_the_real_library_tells_of_no_card_where_there_is_no_driver() -> None:
    told = CardReader(pynvml).read()
    assert bool(told.cards) is not bool(told.reason)


def test_what_a_card_does_not_support_is_left_open_with_nvmls_words() -> None:
    nvml = FakeNvml(FakeCard(processes=[(40, None)]))
    nvml.mistakes["nvmlDeviceGetUtilizationRates"] = nvml_error("NOT_SUPPORTED")
    nvml.mistakes["nvmlDeviceGetGraphicsRunningProcesses"] = nvml_error("NOT_SUPPORTED")
    (card,) = CardReader(nvml).read().cards
    assert card.total_bytes == 22 * GIB
    assert card.utilization_percent is None
    assert card.processes == (CardProcess(40, None),)
    assert card.untold["utilization_percent"] == "Not Supported"


def test_a_lost_card_does_not_hide_the_others() -> None:
    nvml = FakeNvml(FakeCard(), FakeCard())
    nvml.mistakes["nvmlDeviceGetHandleByIndex:0"] = nvml_error("GPU_IS_LOST")
    lost, well = CardReader(nvml).read().cards
    assert (lost.index, lost.total_bytes, lost.untold) == (0, None, {"card": "GPU is lost"})
    assert (well.index, well.total_bytes) == (1, 22 * GIB)


def test_cards_are_told_again_once_a_lost_driver_is_back() -> None:
    nvml = FakeNvml(FakeCard())
    reader = CardReader(nvml)
    assert reader.read().reason is None
    for function in ("nvmlDeviceGetCount", "nvmlShutdown"):
        nvml.mistakes[function] = nvml_error("UNINITIALIZED")
    assert "Uninitialized" in (reader.read().reason or "")
    nvml.mistakes.clear()
    assert reader.read().cards[0].total_bytes == 22 * GIB
    assert nvml.connections == 2


def test_a_driver_that_answers_nothing_of_its_cards_is_connected_anew() -> None:
    nvml = FakeNvml(FakeCard())
    reader = CardReader(nvml)
    nvml.mistakes["nvmlDeviceGetMemoryInfo"] = nvml_error("UNKNOWN")
    assert reader.read().cards[0].total_bytes is None
    nvml.mistakes.clear()
    assert reader.read().cards[0].total_bytes == 22 * GIB
    assert nvml.connections == 2
