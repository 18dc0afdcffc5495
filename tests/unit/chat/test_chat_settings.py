"""Chat's settings come from the environment and from files of secrets, and open an address only when told it is private."""

from pathlib import Path

import pytest

from tandem_chat.settings import ChatSettings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a developer's .env stays out of it


def test_secrets_are_read_from_files_when_their_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tandem_chat_database_url").write_text("postgresql+asyncpg://u:p@db/x\n")
    (tmp_path / "tandem_chat_inference_token").write_text("a-token-of-the-service\n")
    monkeypatch.setenv("TANDEM_SECRETS_DIR", str(tmp_path))

    settings = ChatSettings()

    assert settings.database_url.get_secret_value() == "postgresql+asyncpg://u:p@db/x"
    assert settings.inference_token is not None
    assert settings.inference_token.get_secret_value() == "a-token-of-the-service"


def test_the_environment_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tandem_chat_model").write_text("from-the-file")
    monkeypatch.setenv("TANDEM_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("TANDEM_CHAT_MODEL", "from-the-environment")
    assert ChatSettings().model == "from-the-environment"


def test_any_address_is_accepted_when_its_network_is_said_to_be_private(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TANDEM_CHAT_HOST", "0.0.0.0")
    monkeypatch.setenv("TANDEM_CHAT_TRUST_NETWORK", "true")
    assert ChatSettings().host == "0.0.0.0"
