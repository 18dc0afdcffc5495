"""Runs terraform in a copy of infra/terraform, with the stand-in provider or, where its registry is reached, the real one."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
TREE = CHECKOUT / "infra" / "terraform"
ENVIRONMENTS = ("dev", "prod")
_REGISTRY = "https://registry.terraform.io/.well-known/terraform.json"
_REGISTRY_SECONDS = 3
# A plan without a cloud: state on disk, in the copy only.
_LOCAL_BACKEND = 'terraform {\n  backend "local" {}\n}\n'


class CheckFailedError(Exception):
    """Something under infra/terraform is not as it should be; the message says what."""


@dataclass(frozen=True)
class Workspace:
    """A copy of the tree in which terraform runs; `environment` decides which provider it finds."""

    tree: Path
    environment: dict[str, str]
    real: bool = False

    def run(self, folder: str, *words: str) -> str:
        """Run terraform in a folder of the copy and return what it printed.

        Raises:
            CheckFailedError: terraform refused; its words are in the message.
        """
        done = subprocess.run(
            ["terraform", *words],
            cwd=self.tree / folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CheckFailedError(f"terraform {' '.join(words)} in {folder}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def initialize(self, folder: str) -> None:
        self.run(folder, "init", "-backend=false", "-input=false", "-no-color")

    def plan(self, folder: str, *, variables: str = "terraform.tfvars.example") -> dict[str, Any]:
        """Return the plan of a root with its example values, as `terraform show -json` prints it."""
        (self.tree / folder / "check_override.tf").write_text(_LOCAL_BACKEND)
        self.run(folder, "init", "-input=false", "-no-color", "-reconfigure")
        self.run(
            folder,
            "plan",
            "-input=false",
            "-no-color",
            "-lock=false",
            "-out=check.plan",
            f"-var-file={variables}",
        )
        shown: dict[str, Any] = json.loads(self.run(folder, "show", "-json", "check.plan"))
        return shown


@contextmanager
def workspace(tree: Path = TREE) -> Iterator[Workspace]:
    """Copy the tree and yield it ready to run; what terraform writes vanishes with the copy."""
    with tempfile.TemporaryDirectory(prefix="tandem-terraform-") as folder:
        copy = Path(folder) / "infra" / "terraform"
        ignored = shutil.ignore_patterns(".terraform", "*.tfstate*", "terraform.tfvars", "backend.hcl")
        shutil.copytree(tree, copy, ignore=ignored)
        if registry_answers():
            cache = Path(folder) / "plugins"
            cache.mkdir()
            yield Workspace(
                copy, _environment({"TF_PLUGIN_CACHE_DIR": str(cache), **_NO_CREDENTIALS}), real=True
            )
        else:
            from infra.check.provider import served_provider  # needs the check's own environment

            with served_provider() as reattach:
                yield Workspace(copy, _environment(reattach))


# A plan of resources that are all new asks Google nothing; the real provider wants a token all the same.
_NO_CREDENTIALS = {"GOOGLE_OAUTH_ACCESS_TOKEN": "none"}


def registry_answers() -> bool:
    """Return whether the real provider is to be used: TANDEM_TF_PROVIDER says real or stand-in, else its registry is asked."""
    wish = os.environ.get("TANDEM_TF_PROVIDER", "")
    if wish not in {"", "real", "stand-in"}:
        raise CheckFailedError(f"TANDEM_TF_PROVIDER: expected real or stand-in, got {wish!r}")
    if wish:
        return wish == "real"
    try:
        with urllib.request.urlopen(_REGISTRY, timeout=_REGISTRY_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return {**kept, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", **more}
