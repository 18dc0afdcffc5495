"""Wrong settings are told in one line each, before anything starts."""

import pytest

from tandem_chat.entrypoints.cli import main


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("TANDEM_CHAT_HOST", "0.0.0.0", "TANDEM_CHAT_HOST: expected a loopback address"),
        ("TANDEM_CHAT_HOST", "chat.example", "TANDEM_CHAT_HOST: expected a loopback address"),
        ("TANDEM_CHAT_PORT", "eighty", "TANDEM_CHAT_PORT: "),
        ("TANDEM_CHAT_PORT", "70000", "TANDEM_CHAT_PORT: "),
        ("TANDEM_CHAT_INFERENCE_URL", "nowhere", "TANDEM_CHAT_INFERENCE_URL: "),
        ("TANDEM_SECRETS_DIR", "/no/such/folder", "TANDEM_SECRETS_DIR: expected a folder"),
        ("TANDEM_LOG_LEVEL", "LOUD", "TANDEM_LOG_LEVEL: expected one of DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv(variable, value)

    assert main(["serve"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tandem-chat: {told}")
