"""The planner's promise: predicted cache, weights and start-or-not against every published log in the table."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tandem_inference.planner import UnreadableConfigError
from tandem_inference.planner.reported.comparison import Comparison, compare
from tandem_inference.planner.reported.hints import read_hints
from tandem_inference.planner.reported.prediction import predict
from tandem_inference.planner.reported.rows import Reported, read_rows, write_rows
from tests.unit.inference.planner.builders import CSV


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(read_rows(CSV.read_text(encoding="utf-8")))


def test_the_cache_is_within_two_percent_in_the_median_and_six_at_the_95th_percentile(
    compared: Comparison,
) -> None:
    summary = compared.summary()
    assert summary["rows"] >= 70
    assert summary["kv_gib_error_median"] <= 0.02
    assert summary["kv_gib_error_p95"] <= 0.06


def test_weights_are_within_half_a_percent(compared: Comparison) -> None:
    pairs = [one.pair("weights_gib") for one in compared.compared]
    errors = sorted(pair.error for pair in pairs if pair is not None and pair.error is not None)
    assert errors[len(errors) // 2] <= 0.0005
    assert errors[round(0.95 * len(errors))] <= 0.005


def test_start_or_no_start_is_right_wherever_the_table_knows(compared: Comparison) -> None:
    wrong = [one.prediction.row.model for one in compared.compared if one.start_right is False]
    assert wrong == []
    assert sum(1 for one in compared.compared if one.prediction.row.started is False) >= 2


def test_rows_left_out_say_why(compared: Comparison) -> None:
    assert len(compared.skipped) <= 5
    assert all(one.skipped for one in compared.skipped)


def test_a_prediction_does_not_look_at_the_reported_sizes() -> None:
    row = next(read_rows(CSV.read_text(encoding="utf-8")))
    blind = Reported(
        **{
            name: getattr(row, name)
            for name in inspect.signature(Reported).parameters
            if name
            not in ("activation_gib", "non_torch_gib", "cudagraph_gib", "kv_cache_gib", "kv_cache_tokens")
        }
    )
    seen, unseen = predict(row).estimate, predict(blind).estimate
    assert seen is not None
    assert seen == unseen


def test_the_summary_has_the_names_programs_read(compared: Comparison) -> None:
    wanted = {
        "rows",
        "kv_gib_error_median",
        "kv_gib_error_p95",
        "weights_error_median",
        "start_right",
        "skipped",
    }
    assert wanted <= compared.summary().keys()


def test_rows_survive_being_written_and_read() -> None:
    rows = list(read_rows(CSV.read_text(encoding="utf-8")))
    assert list(read_rows(write_rows(rows))) == rows


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "model,kv_cache_gib\nx,many\n",
        "model,kv_cache_gib\nx,nan\n",
        "model,kv_cache_gib\n" + "x" * 200_000,
    ],
)
def test_a_table_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(UnreadableConfigError):
        list(read_rows(text))


def test_hints_are_read_from_notes() -> None:
    hints = read_hints("", "--enable-lora max_loras=16, adapters rank 32; pp=4; --block-size 128; V0 engine")
    assert (hints.max_loras, hints.max_lora_rank, hints.pipeline_parallel) == (16, 32, 4)
    assert (hints.block_size, hints.engine) == (128, "V0")
    assert read_hints("vllm-project/vllm issue #21348", "").version == "0.9.0"
    assert read_hints("repo (captured 2026-01-25)", "").version == "0.14.0"
    assert read_hints("", "default off before v0.21, so not v").version is None


def test_the_table_stands_in_the_project() -> None:
    assert Path("benchmarks/planner_accuracy") == CSV.relative_to(Path(__file__).parents[4]).parent
