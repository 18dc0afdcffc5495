"""The Dockerfiles are sound to a linter and take their base images from outside. Needs no engine."""

import re
import subprocess
from pathlib import Path

import pytest

from tandem_local.checkout import ROOT, program

DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_a_linter_finds_no_error(dockerfile: Path) -> None:
    done = subprocess.run(
        [program("images", "hadolint"), "--failure-threshold=error", dockerfile],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_every_base_image_can_be_pinned_from_outside(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, flags=re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)) - stages
    assert bases
    assert [base for base in bases if not re.fullmatch(r"\$\{\w+_IMAGE\}", base)] == []


def test_there_is_one_for_each_service() -> None:
    assert {path.name.removesuffix(".Dockerfile") for path in DOCKERFILES} == {
        "chat",
        "feedback",
        "inference",
    }
