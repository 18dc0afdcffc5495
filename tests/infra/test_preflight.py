"""The preflight script reads what gcloud says as it is meant; gcloud itself is a stand-in that prints its formats."""

import os
import subprocess
from pathlib import Path

import pytest

from tandem_local.checkout import ROOT

GCLOUD = """#!/bin/bash
case "$*" in
  "projects describe "*) echo 123456789012 ;;
  "billing projects describe "*) echo True ;;
  "services list "*) for api in compute run sqladmin pubsub secretmanager artifactregistry servicenetworking iap monitoring; do
      [ "$api" = "$API_OFF" ] || echo $api.googleapis.com; done ;;
  "compute project-info describe "*) echo "NETWORKS,5.0,1.0"; echo "GPUS_ALL_REGIONS,${GLOBAL_GPUS:-2.0},0.0" ;;
  "compute regions describe "*) echo "NVIDIA_L4_GPUS,${L4S:-2.0},1.0"; echo "PREEMPTIBLE_NVIDIA_L4_GPUS,1.0,0.0" ;;
  "compute machine-types list "*) echo us-central1-a; echo us-central1-b ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(GCLOUD)
    gcloud.chmod(0o755)
    return tmp_path


def run(folder: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", str(ROOT / "infra" / "preflight"), *words],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_project_with_quota_and_zones_is_ready(folder: Path) -> None:
    done = run(folder, "p", "us-central1", "us-central1-a,us-central1-b")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "ready to deploy")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"GLOBAL_GPUS": "0.0"}, "quota GPUS_ALL_REGIONS: 0 free of 0, 1 wanted"),
        ({"L4S": "1.0"}, "quota NVIDIA_L4_GPUS: 0 free of 1, 1 wanted"),
        ({"API_OFF": "iap"}, "API iap is off"),
    ],
)
def test_what_is_missing_is_named(folder: Path, environment: dict[str, str], words: str) -> None:
    done = run(folder, "p", "us-central1", "us-central1-a", **environment)
    assert done.returncode == 1
    assert words in done.stdout


def test_a_zone_without_l4s_is_named(folder: Path) -> None:
    done = run(folder, "p", "us-central1", "us-central1-f,us-east1-b")
    assert "zone us-central1-f has no G2 machines" in done.stdout
    assert "zone us-east1-b is not in us-central1" in done.stdout


def test_missing_words_are_explained(folder: Path) -> None:
    done = run(folder, "p")
    assert done.returncode == 2
    assert "usage: infra/preflight PROJECT REGION ZONE" in done.stderr
