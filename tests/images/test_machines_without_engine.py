"""Where no engine can be had, the reason is told in words before anything is installed or changed."""

import os
from pathlib import Path

import pytest

from tests.support.containers.podman import NoEngineError, find_podman, require_namespaces


def test_the_reason_is_told_when_the_user_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoEngineError, match="need root"):
        require_namespaces()


def test_the_reason_is_told_when_namespaces_are_forbidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoEngineError, match="forbids making namespaces"):
        require_namespaces()


def test_the_reason_is_told_when_there_is_no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = tmp_path / "dpkg-query"
    asked.write_text("#!/bin/sh\nexit 1\n")
    asked.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoEngineError, match="no apt-get to install podman"):
        find_podman(tmp_path)
