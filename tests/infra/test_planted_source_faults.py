"""Mistakes in the text of infra/terraform are refused: by terraform on the provider's schema, by a validation, or by a rule."""

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.check.source import source_problems, untested_folders
from infra.check.terraform import TREE
from tandem_local.checkout import ROOT
from tests.infra.conftest import make_plan
from tests.infra.test_planted_faults import broken

DATABASE, POOL, PROD = "modules/database/main.tf", "modules/gpu-pool", "environments/prod"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy to spoil; it lies as deep in a checkout as the original does."""
    copy = tmp_path / "infra" / "terraform"
    shutil.copytree(TREE, copy, ignore=shutil.ignore_patterns(".terraform", "terraform.tfvars"))
    return copy


def replace(tree: Path, file: str, old: str, new: str) -> None:
    path = tree / file
    text = path.read_text()
    assert old in text, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("rule", "file", "old", "new"),
    [
        ("only_google_and_local_modules", f"{PROD}/main.tf", '"../../modules/network"', '"terraform-google-modules/network/google"'),
        ("only_google_and_local_modules", "modules/queue/versions.tf", "hashicorp/google", "hashicorp/google-beta"),
        ("provider_is_the_one_checked_against", f"{PROD}/versions.tf", "~> 8.7", "~> 7.0"),
        ("variables_have_types", f"{POOL}/variables.tf", "  type        = bool\n", ""),
        ("variables_and_outputs_are_described", f"{POOL}/outputs.tf", 'description = "Name of the group, for gcloud."', ""),
        ("what_cannot_be_made_again_is_protected", DATABASE, "prevent_destroy = true", "prevent_destroy = false"),
        ("what_is_in_use_is_replaced_first", f"{POOL}/machine.tf", "create_before_destroy = true", ""),
        ("there_are_no_keys", f"{PROD}/versions.tf", 'provider "google" {', 'provider "google" {\n  credentials = file("key.json")'),
        ("plans_need_no_cloud", "modules/budget/main.tf", 'resource "google_billing_budget" "this" {', 'data "google_project" "this" {\n}\n\nresource "google_billing_budget" "this" {'),
    ],
)  # fmt: skip
def test_the_text_is_refused_when_it_breaks_a_rule(
    tree: Path, rule: str, file: str, old: str, new: str
) -> None:
    replace(tree, file, old, new)
    assert rule in {name for name, _ in source_problems(tree)}


def test_a_module_is_refused_when_it_has_no_tests(tree: Path) -> None:
    shutil.rmtree(tree / "modules" / "queue" / "tests")
    assert [name for name, _ in untested_folders(tree)] == ["everything_has_tests"]


def test_the_text_is_accepted_as_it_is() -> None:
    assert [*source_problems(TREE), *untested_folders(TREE)] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "modules/queue/main.tf",
            "ack_deadline_seconds       =",
            "acknowledge_deadline       =",
            "Unsupported argument",
        ),
        ("modules/queue/main.tf", "  retry_policy {", "  retries {", "Unsupported block type"),
        ("bootstrap/main.tf", "location                    = var.region", "", "Missing required argument"),
        (
            f"{POOL}/main.tf",
            'name                       = "pubsub',
            'type = "AVERAGE"\n      name = "pubsub',
            "expected one of GAUGE",
        ),
        ("environments/dev/terraform.tfvars.example", "g2-standard-4", "g2-standard-5", "have L4s"),
        (
            "environments/dev/terraform.tfvars.example",
            "us-central1-a",
            "us-east1-b",
            "expected zones of us-central1",
        ),
    ],
)
def test_terraform_refuses_when_google_would(
    tree: Path, tmp_path: Path, file: str, old: str, new: str, words: str
) -> None:
    replace(tree, file, old, new)
    root = "bootstrap" if file.startswith("bootstrap") else "prod" if "gpu-pool" in file else "dev"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make_plan(root, tmp_path / "plan.json", tree=tree)
    assert words in " ".join(refused.value.stderr.split())


@pytest.mark.parametrize(
    ("rule", "root", "file", "old", "new"),
    [
        ("agent_may_move_dead_letters", "dev", "modules/queue/main.tf", 'role         = "roles/pubsub.subscriber"\n  member       = local.pubsub_agent', 'role         = "roles/pubsub.viewer"\n  member       = local.pubsub_agent'),
        ("gpu_host_terminates_for_maintenance", "dev", f"{POOL}/machine.tf", '"TERMINATE"', '"MIGRATE"'),
        ("driver_is_installed_at_every_boot", "dev", f"{POOL}/templates/gpu.service", "ExecStart=/bin/mount -o remount,exec /var/lib/nvidia\n", ""),
    ],
)  # fmt: skip
def test_the_rule_notices_when_the_source_is_spoilt(
    tree: Path, tmp_path: Path, rule: str, root: str, file: str, old: str, new: str
) -> None:
    replace(tree, file, old, new)
    assert rule in broken(root, make_plan(root, tmp_path / "plan.json", tree=tree))


def test_the_plan_check_refuses_when_the_model_does_not_fit(tree: Path) -> None:
    from infra.check.fit import fit_problems

    replace(tree, f"{PROD}/engines.yaml", "Qwen/Qwen3-8B", "Qwen/Qwen3-32B")
    assert len(list(fit_problems("prod", tree))) == 1
    assert list(fit_problems("prod")) == []


def test_the_plan_check_refuses_when_there_are_too_few_cards(tree: Path) -> None:
    from infra.check.fit import fit_problems

    replace(
        tree,
        f"{PROD}/engines.yaml",
        "    max_num_seqs: 16",
        "    max_num_seqs: 16\n    tensor_parallel_size: 2",
    )
    assert any("wants 2 L4s, the machine has 1" in problem for problem in fit_problems("prod", tree))


def test_every_check_that_checkov_skips_has_a_reason() -> None:
    lines = (ROOT / "infra" / "check" / "checkov.yaml").read_text().splitlines()
    skipped = [number for number, line in enumerate(lines) if "- CKV" in line]
    assert skipped
    assert [lines[number] for number in skipped if not lines[number - 1].strip().startswith("#")] == []
