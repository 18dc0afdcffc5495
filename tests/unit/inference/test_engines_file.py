"""What the engines' file may say, and how its mistakes are told."""

from pathlib import Path

import pytest

from tandem_inference.engines.engines_file import read_engines
from tandem_inference.errors import StartError

GOOD = """\
engines:
  - name: small
    model: ./model
    served_model_name: tiny
    max_model_len: 2048
    max_num_seqs: 16
"""


def _read(folder: Path, text: str) -> str:
    file = folder / "engines.yaml"
    file.write_text(text)
    with pytest.raises(StartError) as caught:
        read_engines(file)
    return str(caught.value)


def test_a_model_folder_is_found_from_the_file_not_from_the_working_folder(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "engines.yaml").write_text(GOOD)
    (engine,) = read_engines(tmp_path / "engines.yaml").engines
    assert engine.model == str(model_folder)
    assert engine.is_local


def test_a_hub_model_keeps_its_id_and_revision(tmp_path: Path) -> None:
    text = (
        GOOD.replace("./model", "organisation/some-model")
        + "    revision: 0123abc\n    kv_cache_bytes: 1.5GiB\n"
    )
    (tmp_path / "engines.yaml").write_text(text)
    (engine,) = read_engines(tmp_path / "engines.yaml").engines
    assert (engine.model, engine.revision, engine.is_local) == ("organisation/some-model", "0123abc", False)
    assert engine.kv_cache_bytes == 1536 * 1024 * 1024


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_shipped_files_are_valid_once_the_small_model_is_made(name: str, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "local" / f"engines.{name}.yaml"
    (tmp_path / "local").mkdir()
    copy = tmp_path / "local" / shipped.name
    copy.write_text(shipped.read_text())
    model = tmp_path / ".cache/models/smollm2-135m-instruct"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (engine,) = read_engines(copy).engines
    assert engine.served_model_name == "smollm2-135m-instruct"


@pytest.mark.parametrize(
    ("line", "change", "told"),
    [
        (
            5,
            ("max_model_len: 2048", "max_model_len: many"),
            ["engines[0].max_model_len", "integer", "'many'", "tokens"],
        ),
        (
            6,
            ("max_num_seqs: 16", "max_num_seqs: 0"),
            ["engines[0].max_num_seqs", "greater than or equal to 1", "0"],
        ),
        (6, ("max_num_seqs", "max_num_seq"), ["engines[0].max_num_seq", "did you mean max_num_seqs?"]),
        (2, ("    max_num_seqs: 16\n", ""), ["engines[0].max_num_seqs is missing", "requests run at once"]),
        (7, ("16\n", "16\n    zzz: 1\n"), ["engines[0].zzz", "expected one of name, model"]),
        (2, ("name: small", "name: Small Model"), ["engines[0].name", "'Small Model'", "lower-case"]),
        (3, ("./model", "./nowhere"), ["engines[0].model", "config.json", "nowhere"]),
        (3, ("./model", "not a model"), ["engines[0].model", "hub id"]),
        (7, ("16\n", "16\n    revision: main\n"), ["engines[0].revision", "hub"]),
        (
            7,
            ("16\n", "16\n    extra_args: [--port=1]\n"),
            ["extra_args", "--port", "TANDEM_INFERENCE_ENGINE_FIRST_PORT"],
        ),
        (7, ("16\n", "16\n    dtype: int3\n"), ["engines[0].dtype", "bfloat16", "'int3'"]),
        (7, ("16\n", "16\n    max_num_seqs: 8\n"), ["max_num_seqs is given twice"]),
        (1, ("engines:", "engine:"), ["engine is not a field", "did you mean engines?"]),
        (5, ("served_model_name: tiny", "served_model_name: [a"), ["expected YAML"]),
    ],
)
def test_a_mistake_is_told_with_its_line_its_field_and_what_to_do(
    model_folder: Path, tmp_path: Path, line: int, change: tuple[str, str], told: list[str]
) -> None:
    message = _read(tmp_path, GOOD.replace(*change))
    assert f"engines.yaml, line {line}:" in message
    assert len(message.splitlines()) <= 2  # a misspelt field is also missing
    for words in told:
        assert words in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "engines: []",
        "engines: 3",
        "- 1",
        "hello",
        "engines: [3]",
        "? [a]\n: 1",
        "!!python/name:os.system",
    ],
)
def test_no_file_content_ends_in_anything_but_an_explanation(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path, text).startswith(str(tmp_path / "engines.yaml"))


def test_a_missing_file_is_told_with_the_setting_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="TANDEM_INFERENCE_ENGINES_FILE"):
        read_engines(tmp_path / "nothing.yaml")


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "engines.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StartError, match="UTF-8"):
        read_engines(tmp_path / "engines.yaml")
