"""What operators and Prometheus are told over HTTP: engines, cards, processes, and each engine's own metrics."""

import os
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from tandem_inference.engines.adapter_status import AdapterState
from tandem_inference.engines.plan_check import PlanCheck
from tandem_inference.engines.supervised_engine import EngineState
from tandem_inference.gateway.admission.ticket import Ticket
from tandem_inference.gateway.request_class import RequestClass
from tandem_inference.observation import engine_page, recent
from tandem_inference.settings import InferenceSettings
from tests.support.fake_nvml import GIB, FakeCard, nvml_error
from tests.support.start_logs import GPU_START
from tests.unit.inference.observation.conftest import Observed, started
from tests.unit.inference.observation.samples import VLLM_PAGE

TOKEN = "a-token-of-sixteen"


async def _engine(observed: Observed, name: str) -> dict[str, Any]:
    engines = (await observed.client.get("/engines")).json()["engines"]
    assert [engine["name"] for engine in engines] == ["small", "large"]
    return next(dict(engine) for engine in engines if engine["name"] == name)


async def _metrics(observed: Observed) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample of `GET /metrics`: name to label values (but those of OpenTelemetry's scope) to number."""
    answer = await observed.client.get("/metrics")
    assert answer.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = tuple(value for key, value in sorted(sample.labels.items()) if "otel" not in key)
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


async def test_an_engine_is_told_with_its_own_numbers_slots_and_times(observed: Observed) -> None:
    engine = await _engine(observed, "small")
    assert (engine["model"], engine["state"], engine["pid"]) == ("alpha", "ready", os.getpgid(0))
    assert engine["running_seconds"] >= engine["ready_seconds"] >= 0
    reported = engine["reported"]
    assert reported["unavailable"] is None
    assert (reported["requests_running"], reported["requests_waiting"]) == (3, 0)
    assert reported["kv_cache_usage"] == pytest.approx(0.00826, abs=1e-5)
    assert (reported["prompt_tokens"], reported["generation_tokens"]) == (102, 196)
    assert reported["generation_tokens_per_second"] is None


async def test_slots_and_queues_are_told_by_class(observed: Observed) -> None:
    admission = observed.service.admissions["small"]
    for request_class in (RequestClass.BACKGROUND, RequestClass.BACKGROUND, RequestClass.INTERACTIVE):
        await admission.enter(Ticket(request_class), seconds=30)
    slots = (await _engine(observed, "small"))["slots"]
    assert (slots["total"], slots["free"]) == (16, 13)
    assert (slots["background"]["running"], slots["interactive"]["running"]) == (2, 1)
    assert slots["background_limit"] == 13
    metrics = await _metrics(observed)
    assert metrics["tandem_admission_slots"] == {("large",): 16, ("small",): 16}
    running = metrics["tandem_admission_running"]
    assert running["small", "background"] == 2
    assert running["small", "interactive"] == 1
    assert running["large", "background"] == 0
    assert metrics["tandem_admission_background_limit"]["small",] == 13


async def test_an_engine_that_does_not_run_has_the_reason_where_its_numbers_would_be(
    observed: Observed,
) -> None:
    observed.large.state, observed.large.last_error = EngineState.FAILED, "it ended with exit code 3"
    engine = await _engine(observed, "large")
    assert (engine["pid"], engine["running_seconds"], engine["plan"]) == (None, None, None)
    assert engine["last_error"] == "it ended with exit code 3"
    assert engine["reported"]["unavailable"] == "the engine is failed"
    assert engine["reported"]["kv_cache_usage"] is None


async def test_a_failed_start_is_told_with_the_change_that_helps(observed: Observed) -> None:
    observed.large.last_error = "The card has too little free memory."
    observed.large.proposal = "gpu_memory_utilization: 0.71"
    engine = await _engine(observed, "large")
    assert engine["last_error"] == "The card has too little free memory."
    assert engine["proposal"] == "gpu_memory_utilization: 0.71"


async def test_every_model_of_an_engine_is_told_with_its_state(observed: Observed) -> None:
    formal, terse = observed.large.adapters.statuses
    formal.state = AdapterState.READY
    terse.state, terse.reason = AdapterState.FAILED, "it has rank 64, and max_lora_rank is 16"
    base, *adapters = (await _engine(observed, "large"))["models"]
    assert (base["name"], base["kind"], base["state"]) == ("beta", "base", "starting")
    assert [(one["name"], one["kind"], one["state"]) for one in adapters] == [
        ("formal", "adapter", "ready"),
        ("terse", "adapter", "failed"),
    ]
    assert adapters[1]["reason"] == "it has rank 64, and max_lora_rank is 16"


async def test_tokens_per_second_are_counted_between_two_looks(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    for module in (engine_page, recent):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    await _engine(observed, "small")
    later = VLLM_PAGE.replace("generation_tokens_total{", "was{").replace("# TYPE vllm:was", "# TYPE vllm:x")
    count = 'vllm:generation_tokens_total{engine="0"} 796.0\n'
    observed.answer = lambda _: httpx.Response(200, text=later + count)
    now += 4
    reported = (await _engine(observed, "small"))["reported"]
    assert (reported["generation_tokens_per_second"], reported["over_seconds"]) == (150.0, 4.0)
    assert reported["prompt_tokens_per_second"] == 0
    started(observed.small)  # its counters begin anew
    now += 4
    assert (await _engine(observed, "small"))["reported"]["generation_tokens_per_second"] is None


async def test_metrics_of_engines_are_passed_on_under_their_names(observed: Observed) -> None:
    started(observed.large)
    metrics = await _metrics(observed)
    running = metrics["vllm:num_requests_running"]
    assert {labels[-1] for labels in running} == {"small", "large"}
    assert set(running.values()) == {3}
    text = (await observed.client.get("/metrics")).text
    described = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(described) == len(set(described))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(500, text="dead"), "status 500"),
        (httpx.ConnectError("refused"), "refused"),
        (httpx.Response(200, text="<html>vllm:x 1</html>"), "none of vLLM's own"),
    ],
)
async def test_an_engine_that_tells_nothing_is_missing_and_the_rest_is_there(
    observed: Observed, answer: httpx.Response | Exception, reason: str
) -> None:
    started(observed.large)

    def answering(request: httpx.Request) -> httpx.Response:
        if request.url.port == observed.small.port:
            return httpx.Response(200, text=VLLM_PAGE)
        if isinstance(answer, Exception):
            raise answer
        return answer

    observed.answer = answering
    metrics = await _metrics(observed)
    assert {labels[-1] for labels in metrics["vllm:num_requests_running"]} == {"small"}
    assert metrics["tandem_engine_state"]["large", "ready"] == 1
    assert reason in (await _engine(observed, "large"))["reported"]["unavailable"]


async def test_the_state_of_each_engine_is_the_one_that_is_1(observed: Observed) -> None:
    states = (await _metrics(observed))["tandem_engine_state"]
    assert [labels for labels, number in states.items() if number] == [
        ("small", "ready"),
        ("large", "starting"),
    ]


async def test_one_engines_page_is_passed_on_as_it_is(observed: Observed) -> None:
    answer = await observed.client.get("/engines/small/metrics")
    assert answer.text == VLLM_PAGE
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("name", "status"), [("large", 503), ("nobody", 404), ("x" * 5000, 404)])
async def test_a_page_that_cannot_be_had_is_a_problem_with_the_reason(
    observed: Observed, name: str, status: int
) -> None:
    answer = await observed.client.get(f"/engines/{name}/metrics")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("small, large" if status == 404 else "the engine is starting") in answer.json()["detail"]
    assert len(answer.text) < 400 + len(name)


async def test_a_machine_without_a_card_says_so_and_tells_of_its_processes(observed: Observed) -> None:
    document = (await observed.client.get("/gpu")).json()
    assert document["cards"] == []
    assert "NVML Shared Library Not Found" in document["unavailable"]
    (gateway,) = document["gateway"]["processes"]
    assert (gateway["pid"], gateway["role"]) == (os.getpid(), "gateway")
    assert document["gateway"]["rss_bytes"] == gateway["rss_bytes"] > 10_000_000
    small, large = document["engines"]
    assert (small["name"], large["name"]) == ("small", "large")
    assert os.getpid() in [process["pid"] for process in small["processes"]]
    assert small["pss_bytes"] == sum(process["pss_bytes"] for process in small["processes"])
    assert (small["card_bytes"], large["processes"]) == (None, [])
    metrics = await _metrics(observed)
    resident = metrics["tandem_process_resident_memory_bytes"]
    assert resident[str(os.getpid()), "", "gateway"] > 10_000_000
    assert "tandem_gpu_memory_used_bytes" not in metrics


async def test_processes_on_a_card_are_matched_to_their_engines(observed: Observed) -> None:
    observed.nvml.mistakes.clear()
    pid, stranger = os.getpid(), 2**22 + 1
    observed.nvml.cards = [FakeCard(processes=[(pid, 16 * GIB), (stranger, 2 * GIB)]), FakeCard()]
    document = (await observed.client.get("/gpu")).json()
    assert document["unavailable"] is None
    first, second = document["cards"]
    assert (first["total_bytes"], first["used_bytes"]) == (22 * GIB, 20 * GIB)
    ours, theirs = first["processes"]
    assert (ours["pid"], ours["used_bytes"]) == (pid, 16 * GIB)
    assert (theirs["engine"], theirs["role"], theirs["used_bytes"]) == (None, None, 2 * GIB)
    assert second["processes"] == []
    assert document["engines"][0]["card_bytes"] == 16 * GIB
    metrics = await _metrics(observed)
    assert metrics["tandem_gpu_memory_used_bytes"]["0", "NVIDIA L4"] == 20 * GIB
    assert metrics["tandem_gpu_utilization_ratio"]["1", "NVIDIA L4"] == pytest.approx(0.87)
    assert metrics["tandem_gpu_process_memory_bytes"][str(stranger), "", "0", ""] == 2 * GIB


async def test_a_field_that_the_card_does_not_have_is_left_out(observed: Observed) -> None:
    observed.nvml.mistakes = {"nvmlDeviceGetUtilizationRates": nvml_error("NOT_SUPPORTED")}
    observed.nvml.cards = [FakeCard()]
    (card,) = (await observed.client.get("/gpu")).json()["cards"]
    assert card["utilization_percent"] is None
    assert card["not_available"]["utilization_percent"] == "Not Supported"
    metrics = await _metrics(observed)
    assert "tandem_gpu_utilization_ratio" not in metrics
    assert metrics["tandem_gpu_memory_total_bytes"]["0", "NVIDIA L4"] == 22 * GIB


async def test_the_plan_of_a_start_is_told_beside_what_the_engine_reported(observed: Observed) -> None:
    declared = observed.small.declared.model_copy(
        update={"model": "Qwen/Qwen2.5-3B-Instruct", "gpu_memory_utilization": 0.9}
    )
    observed.small.plan = PlanCheck("L4").compare(declared, GPU_START.splitlines())
    plan = (await _engine(observed, "small"))["plan"]
    metrics = await _metrics(observed)
    reported = metrics["tandem_kv_cache_reported_bytes"]["small",]
    planned = metrics["tandem_kv_cache_planned_bytes"]["small",]
    assert reported == pytest.approx(13.58 * GIB)
    assert planned == pytest.approx(plan["kv_cache_gib"]["predicted"] * GIB, rel=1e-4)
    assert metrics["tandem_kv_cache_error_ratio"]["small",] == pytest.approx(plan["kv_error"], abs=1e-5)
    assert metrics["tandem_kv_cache_error_ratio"]["small",] == pytest.approx(abs(planned / reported - 1))


class TestWithAToken:
    @pytest.fixture
    def observing_settings(self) -> InferenceSettings:
        return InferenceSettings(_env_file=None, service_token=SecretStr(TOKEN))

    @pytest.mark.parametrize("path", ["/gpu", "/engines", "/engines/small/metrics"])
    async def test_operators_need_the_token(self, observed: Observed, path: str) -> None:
        refused = await observed.client.get(path)
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        allowed = await observed.client.get(path, headers={"authorization": f"Bearer {TOKEN}"})
        assert allowed.status_code == 200

    async def test_prometheus_needs_none(self, observed: Observed) -> None:
        assert (await observed.client.get("/metrics")).status_code == 200
