"""Which engine starts first."""

from pathlib import Path

from tandem_inference.engines.engines_file import read_engines
from tandem_inference.engines.start_order import ordered

ENGINE = (
    "  - {{name: {name}, model: {model}, served_model_name: {name}, max_model_len: 1024, max_num_seqs: 4}}\n"
)
SIZES = {
    "sealed": "nobody/knows-this-one",
    "large": "Qwen/Qwen2.5-3B-Instruct",
    "files": "./files",
    "small": "HuggingFaceTB/SmolLM2-135M",
}


def _order(folder: Path, head: str = "") -> list[str]:
    (folder / "files").mkdir()
    (folder / "files" / "config.json").write_text("{}")
    with (folder / "files" / "model.safetensors").open("wb") as file:
        file.truncate(10**9)  # less than three billion parameters take, more than a hundred million
    lines = "".join(ENGINE.format(name=name, model=model) for name, model in SIZES.items())
    (folder / "engines.yaml").write_text(f"{head}engines:\n{lines}")
    return [engine.name for engine in ordered(read_engines(folder / "engines.yaml"))]


def test_small_engines_start_before_large_ones_and_unknown_ones_last(tmp_path: Path) -> None:
    assert _order(tmp_path) == ["small", "files", "large", "sealed"]


def test_the_file_may_ask_for_its_own_order(tmp_path: Path) -> None:
    assert _order(tmp_path, "start_order: as_listed\n") == list(SIZES)
