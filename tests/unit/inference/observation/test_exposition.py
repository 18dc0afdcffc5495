"""Engines' metrics on one page stay what they were: valid, complete, and told apart by engine."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tandem_inference.observation.exposition import highest, merge_families, read_families, total
from tests.unit.inference.observation.samples import VLLM_PAGE


def _merged(**pages: str) -> str:
    sources = {name: read_families(page) for name, page in pages.items()}
    return "".join(f"{line}\n" for line in merge_families(sources, label="tandem_engine"))


def _samples(page: str) -> Counter[tuple[str, str, float]]:
    found = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return Counter((s.name, str(sorted(s.labels.items())), s.value) for s in found)


def _of_engine(page: str, engine: str) -> Counter[tuple[str, str, float]]:
    """The samples of `engine` in a merged page, as they were before."""
    found = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return Counter(
        (s.name, str(sorted((k, v) for k, v in s.labels.items() if k != "tandem_engine")), s.value)
        for s in found
        if s.labels["tandem_engine"] == engine
    )


def test_every_sample_of_every_engine_is_passed_on_with_its_name() -> None:
    other = VLLM_PAGE.replace("} 3.0", "} 5.0")
    page = _merged(small=VLLM_PAGE, large=other)
    assert _of_engine(page, "small") == _samples(VLLM_PAGE)
    assert _of_engine(page, "large") == _samples(other) != _samples(VLLM_PAGE)


def test_each_metric_is_described_once_with_its_samples_right_below() -> None:
    page = _merged(small=VLLM_PAGE, large=VLLM_PAGE)
    described = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]
    assert len(described) == len(set(described)) == VLLM_PAGE.count("# TYPE")
    histogram = page.split("# TYPE vllm:time_to_first_token_seconds histogram\n")[1].split("#")[0]
    assert Counter(line.split("{")[0] for line in histogram.splitlines()) == {
        "vllm:time_to_first_token_seconds_bucket": 46,
        "vllm:time_to_first_token_seconds_count": 2,
        "vllm:time_to_first_token_seconds_sum": 2,
    }


def test_only_the_metrics_asked_for_are_read() -> None:
    names = {family.name for family in read_families(VLLM_PAGE, prefix="vllm:")}
    assert "vllm:num_requests_running" in names
    assert all(name.startswith("vllm:") for name in names)


def test_numbers_are_read_over_all_ranks_of_an_engine() -> None:
    rank = 'vllm:num_requests_running{{engine="{}"}} {}\n'
    families = read_families(rank.format(0, "3.0") + rank.format(1, "4.0") + rank.format(2, "NaN"))
    assert highest(read_families(VLLM_PAGE), "vllm:kv_cache_usage_perc") == 0.008264462809917328
    assert total(read_families(VLLM_PAGE), "vllm:generation_tokens_total") == 196
    assert total(families[:1], "vllm:not_there") is None
    assert total(read_families(rank.format(0, "3.0") + rank.format(1, "4.0")), families[0].name) == 7


def test_lines_that_are_no_samples_do_not_spoil_the_page() -> None:
    odd = '<html>\n\x00\nvllm:x not-a-number\n{} 1\nvllm:y{a="1"} 2 1700000000000\n# TYPE vllm:z nonsense\nvllm:z 3\n'
    page = _merged(small=odd)
    assert page == (
        "# HELP vllm:y \n# TYPE vllm:y untyped\n"
        'vllm:y{tandem_engine="small",a="1"} 2 1700000000000\n'
        "# HELP vllm:z \n# TYPE vllm:z untyped\n"
        'vllm:z{tandem_engine="small"} 3\n'
    )


def test_an_engine_that_means_something_else_by_a_name_is_left_out_of_it() -> None:
    page = _merged(old="# TYPE vllm:x counter\nvllm:x 1\n", new="# TYPE vllm:x gauge\nvllm:x 2\nvllm:y 3\n")
    assert 'vllm:x{tandem_engine="old"} 1' in page
    assert 'vllm:x{tandem_engine="new"}' not in page
    assert 'vllm:y{tandem_engine="new"} 3' in page


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=4, unique=True), number=st.floats())
def test_any_label_and_number_comes_through_unchanged(texts: list[str], number: float) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("vllm:odd", "Odd \\ \n words", ["first", "second"], registry=registry)
    histogram = Histogram("vllm:times_seconds", "Times", ["who"], registry=registry)
    for text in texts:
        gauge.labels(text, "}").set(number)
        histogram.labels(text).observe(0.3)
    original = generate_latest(registry).decode()
    page = _merged(small=original)
    assert str(_of_engine(page, "small")) == str(_samples(original))  # as text: NaN is not equal to itself
