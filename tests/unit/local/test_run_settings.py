"""The settings of `make run`: defaults, and complaints that name the setting."""

import os

import pytest

from tandem_local.checkout import ROOT
from tandem_local.complaint import ComplaintError
from tandem_local.run_settings import read_run_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TANDEM_", "PUBSUB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TANDEM_ENGINE", "cpu")


def test_the_defaults_are_the_documented_ports() -> None:
    settings = read_run_settings()
    assert (settings.chat_url, settings.feedback_url) == ("http://127.0.0.1:8000", "http://127.0.0.1:8010")
    assert (settings.inference_url, settings.emulator_host) == ("http://127.0.0.1:8800", "127.0.0.1:8085")
    assert settings.state == ROOT / ".run"
    assert settings.starts_emulator


def test_a_relative_state_folder_lies_in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_STATE_DIR", ".run/second")
    assert read_run_settings().state == ROOT / ".run" / "second"


def test_the_users_emulator_is_used_when_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:9999")
    settings = read_run_settings()
    assert settings.emulator_host == "127.0.0.1:9999"
    assert not settings.starts_emulator


@pytest.mark.parametrize("value", ["http", "0", "70000", "-1", "80.5"])
def test_a_wrong_port_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TANDEM_CHAT_PORT", value)
    with pytest.raises(ComplaintError, match=f"TANDEM_CHAT_PORT .* not '{value}'"):
        read_run_settings()


def test_two_parts_on_one_port_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_CHAT_PORT", "8010")
    with pytest.raises(ComplaintError, match="port of its own"):
        read_run_settings()


def test_an_unknown_engine_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_ENGINE", "tpu")
    with pytest.raises(ComplaintError, match="cpu or gpu, not 'tpu'"):
        read_run_settings()
