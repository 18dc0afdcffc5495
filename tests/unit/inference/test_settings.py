"""What the service's settings accept, and how it says what they do not."""

from pathlib import Path

import pytest

from tandem_inference.entrypoints.cli import main
from tandem_inference.errors import StartError
from tandem_inference.settings import InferenceSettings, read_settings


@pytest.fixture(autouse=True)
def _away_from_any_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_token(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_INFERENCE_HOST", host)
    assert read_settings().host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "inference.internal"])
def test_any_other_address_needs_a_token(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_INFERENCE_HOST", host)
    with pytest.raises(StartError, match="TANDEM_INFERENCE_SERVICE_TOKEN"):
        read_settings()
    monkeypatch.setenv("TANDEM_INFERENCE_SERVICE_TOKEN", "a-token-of-the-service")
    assert read_settings().host == host


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "99999"),
        ("PORT", "abc"),
        ("SERVICE_TOKEN", "short"),
        ("MAX_BODY_BYTES", "1"),
        ("ENGINE_COMMAND", "not a list"),
        ("ENGINE_COMMAND", "[]"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TANDEM_INFERENCE_{name}", value)
    with pytest.raises(
        StartError, match=name.lower() if value == "not a list" else f"TANDEM_INFERENCE_{name}"
    ):
        read_settings()


def test_the_token_is_not_shown_when_settings_are_logged() -> None:
    settings = InferenceSettings(_env_file=None, service_token="a-token-of-the-service")
    assert "a-token-of-the-service" not in repr(settings) + str(settings.model_dump(mode="json"))


def test_a_token_is_read_from_its_file_when_a_folder_of_secrets_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tandem_inference_service_token").write_text("a-token-of-the-service\n")
    monkeypatch.setenv("TANDEM_SECRETS_DIR", str(tmp_path))
    token = read_settings().service_token
    assert token is not None
    assert token.get_secret_value() == "a-token-of-the-service"


def test_a_missing_folder_of_secrets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_SECRETS_DIR", "/no/such/folder")
    with pytest.raises(StartError, match="TANDEM_SECRETS_DIR: expected a folder"):
        read_settings()


def test_every_setting_is_described() -> None:
    assert [name for name, field in InferenceSettings.model_fields.items() if not field.description] == []


def test_a_service_that_cannot_start_says_why_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("tandem-inference: engines.yaml: there is no such file")
    assert "Traceback" not in told
