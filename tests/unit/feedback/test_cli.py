"""Wrong settings are explained on standard error with their variable's name, and never with a secret or a traceback."""

from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tandem_feedback.entrypoints import cli
from tandem_feedback.entrypoints.cli import main
from tandem_telemetry import Telemetry


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a developer's .env stays out of it


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (
            "TANDEM_FEEDBACK_PORT",
            "99999",
            "TANDEM_FEEDBACK_PORT: Input should be less than or equal to 65535",
        ),
        ("TANDEM_FEEDBACK_SLOTS", "many", "TANDEM_FEEDBACK_SLOTS: Input should be a valid integer"),
        (
            "TANDEM_FEEDBACK_INFERENCE_URL",
            "nowhere",
            "TANDEM_FEEDBACK_INFERENCE_URL: Input should be a valid URL",
        ),
        (
            "TANDEM_FEEDBACK_DATABASE_URL",
            "mysql://me:hunter2@h/d",
            "TANDEM_FEEDBACK_DATABASE_URL: expected sqlite",
        ),
        (
            "TANDEM_FEEDBACK_DATABASE_URL",
            "postgresql://me:hunter2@h/d",
            "TANDEM_FEEDBACK_DATABASE_URL: expected sqlite",
        ),
        ("TANDEM_FEEDBACK_HOST", "0.0.0.0", "TANDEM_FEEDBACK_HOST: expected a loopback address"),
        ("TANDEM_SECRETS_DIR", "/no/such/folder", "TANDEM_SECRETS_DIR: expected a folder"),
        ("TANDEM_LOG_LEVEL", "loud", "TANDEM_LOG_LEVEL: expected one of DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_wrong_setting_is_explained(
    variable: str,
    value: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["migrate"]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert "hunter2" not in printed.err + printed.out
    assert len(printed.err.splitlines()) == 1


def test_broken_rubric_file_stops_the_start_and_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.v1.toml").write_text('id = "mine"\nversion = 1\n')
    monkeypatch.setenv("TANDEM_FEEDBACK_RUBRICS_DIR", str(tmp_path))
    monkeypatch.setattr(cli, "configure_telemetry", lambda _: Telemetry(TracerProvider()))
    assert main(["serve"]) == 1
    assert "tandem-feedback: mine.v1.toml: title: this field is missing" in capsys.readouterr().err


def test_unknown_command_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dance"])
    assert ended.value.code == 2
    assert "serve" in capsys.readouterr().err
