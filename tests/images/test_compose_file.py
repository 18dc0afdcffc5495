"""What compose.yaml promises for every profile, as compose itself reads it. Needs no engine."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tandem_local.checkout import ROOT
from tests.images.conftest import compose_document

DOCKER = ROOT / "docker"
ENGINE_PROFILES = ("cpu", "gpu", "multi")
PROFILES = (*ENGINE_PROFILES, "observability")


@cache
def document(*profiles: str) -> dict[str, Any]:
    return compose_document(DOCKER / "compose.yaml", profiles=profiles)


def services() -> list[tuple[str, dict[str, Any]]]:
    return sorted(document(*PROFILES)["services"].items())


def test_every_service_is_closed_up_and_limited() -> None:
    wanted = {
        "read_only": True,
        "init": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    found = {name: {key: service.get(key) for key in wanted} for name, service in services()}
    assert [name for name, has in found.items() if has != wanted] == []
    limits = {name: int(service["mem_limit"]) * service["pids_limit"] for name, service in services()}
    assert [name for name, limit in limits.items() if limit <= 0] == []


def test_ports_are_published_on_loopback_only() -> None:
    published = {(name, port["host_ip"]) for name, service in services() for port in service.get("ports", [])}
    assert {name for name, _ in published} >= {"chat", "inference-cpu", "pubsub"}
    assert {address for _, address in published} == {"127.0.0.1"}


def test_secrets_are_files_and_no_service_has_one_that_it_does_not_need() -> None:
    held = {name: {secret["source"] for secret in service.get("secrets", [])} for name, service in services()}
    assert held["chat"] == {"service_token", "chat_database_url"}
    assert held["feedback"] == {"service_token", "feedback_database_url"}
    assert held["inference-gpu"] == {"service_token", "hf_token"}
    assert held["pubsub"] == set()
    assert all("file" in secret for secret in document(*PROFILES)["secrets"].values())


@pytest.mark.parametrize("profile", ENGINE_PROFILES)
def test_a_profile_brings_one_service_that_answers_as_inference(profile: str) -> None:
    found = document(profile)["services"].items()
    named = [
        name
        for name, service in found
        if "inference" in ((service["networks"]["default"] or {}).get("aliases") or [])
    ]
    assert named == [f"inference-{profile}"]


@pytest.mark.parametrize("profile", ["gpu", "multi"])
def test_engines_on_a_card_ask_for_one(profile: str) -> None:
    reserved = document(profile)["services"][f"inference-{profile}"]["deploy"]["resources"]["reservations"]
    assert [(device["driver"], device["count"]) for device in reserved["devices"]] == [("nvidia", 1)]


@pytest.mark.parametrize(("engines", "card"), [("gpu", "L4"), ("multi", "RTX5090")])
def test_the_planner_finds_that_the_engines_fit_their_card(engines: str, card: str) -> None:
    plan = [sys.executable, "-m", "tandem_inference.planner", "plan", str(DOCKER / f"engines.{engines}.yaml")]
    done = subprocess.run(
        [*plan, "--gpu", card, "--offline", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["fits"] is True


@pytest.mark.parametrize("profile", ["gpu", "multi"])
def test_chat_and_feedback_use_models_that_the_profile_serves(profile: str) -> None:
    served = {
        engine["served_model_name"]
        for engine in yaml.safe_load((DOCKER / f"engines.{profile}.yaml").read_text())["engines"]
    }
    assert set(_models(DOCKER / "profiles" / f"{profile}.env")) <= served
    assert len(_models(DOCKER / "profiles" / f"{profile}.env")) == 2


def test_three_engines_share_one_card_in_the_profile_for_several() -> None:
    engines = yaml.safe_load((DOCKER / "engines.multi.yaml").read_text())["engines"]
    assert len(engines) == 3
    assert sum(engine["gpu_memory_utilization"] for engine in engines) < 1


def _models(file: Path) -> list[str]:
    return [line.split("=")[1] for line in file.read_text().splitlines() if "_MODEL=" in line]
