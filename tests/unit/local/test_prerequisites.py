"""What a user reads when something that set-up cannot install is missing."""

import sys
from pathlib import Path

import pytest

from tandem_local import chromium
from tandem_local.complaint import ComplaintError
from tandem_local.emulator import LAUNCHER_IN_SDK, EmulatorMissingError, emulator_command
from tandem_local.prerequisites import check_python


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH, empty so far."""
    folder = tmp_path / "sdk" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put_program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def test_java_is_asked_for_when_it_is_missing(programs: Path) -> None:
    with pytest.raises(EmulatorMissingError, match="Java runtime"):
        emulator_command(host="127.0.0.1", port=1)


def test_gcloud_and_docker_are_named_when_gcloud_is_missing(programs: Path) -> None:
    put_program(programs / "java")
    with pytest.raises(EmulatorMissingError, match=r"gcloud(.|\n)*docker(.|\n)*PUBSUB_EMULATOR_HOST"):
        emulator_command(host="127.0.0.1", port=1)


def test_the_component_is_asked_for_when_only_gcloud_is_there(programs: Path) -> None:
    put_program(programs / "java")
    put_program(programs / "gcloud")
    with pytest.raises(EmulatorMissingError, match="gcloud components install beta pubsub-emulator"):
        emulator_command(host="127.0.0.1", port=1)


def test_the_sdks_own_launcher_is_started_when_all_is_there(programs: Path) -> None:
    put_program(programs / "java")
    put_program(programs / "gcloud")
    launcher = programs.parent / LAUNCHER_IN_SDK
    put_program(launcher)
    assert emulator_command(host="127.0.0.1", port=8085) == [str(launcher), "--host=127.0.0.1", "--port=8085"]


def test_another_python_is_refused_with_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 1))
    with pytest.raises(ComplaintError, match=r"for Python 3\.11; .* is 3\.13"):
        check_python()


def test_chromium_is_asked_for_when_it_cannot_be_installed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TANDEM_CHROMIUM", raising=False)
    with pytest.raises(ComplaintError, match="apt-get install -y --no-install-recommends chromium"):
        chromium.ensure_chromium()


def test_a_named_browser_is_taken_when_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_CHROMIUM", "/opt/browser")
    assert chromium.find_chromium() == "/opt/browser"
