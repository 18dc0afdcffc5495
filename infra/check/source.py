"""What has to be true of the text of infra/terraform, where no plan shows it: providers, modules, lifecycles, descriptions."""

import re
from collections.abc import Iterator
from pathlib import Path

from infra.check.provider_version import schema_version

_BLOCK = re.compile(
    r'^(resource|variable|output|data|module|provider) "([\w-]+)"(?: "([\w-]+)")? \{$', re.MULTILINE
)
_PROTECTED = {"google_sql_database_instance", "google_storage_bucket", "google_secret_manager_secret"}
_REPLACED_FIRST = {"google_compute_instance_template", "google_compute_managed_ssl_certificate"}


def source_problems(tree: Path) -> Iterator[tuple[str, str]]:
    """Yield the rule that is broken and the sentence that says where."""
    for file in sorted(tree.rglob("*.tf")):
        if ".terraform" in file.parts:
            continue
        text, where = file.read_text(), str(file.relative_to(tree))
        for kind, block_type, name, body in _blocks(text):
            yield from _block_problems(where, kind, block_type, name, body)
        for source in re.findall(r'^\s*source\s*=\s*"([^"]+)"', text, re.MULTILINE):
            if source != "hashicorp/google" and not source.startswith("../"):
                yield (
                    "only_google_and_local_modules",
                    f"{where}: {source} is neither the google provider nor a local module",
                )
        for constraint in re.findall(r'source\s*=\s*"hashicorp/google"\s*\n\s*version\s*=\s*"([^"]+)"', text):
            major_minor = ".".join(schema_version().split(".")[:2])
            if constraint != f"~> {major_minor}":
                yield (
                    "provider_is_the_one_checked_against",
                    f"{where}: {constraint}; the schema here is of {schema_version()}, expected ~> {major_minor}",
                )
    for folder in sorted({file.parent for file in tree.rglob("main.tf") if ".terraform" not in file.parts}):
        where = str(folder.relative_to(tree))
        if (
            not (folder / "versions.tf").exists()
            or "hashicorp/google" not in (folder / "versions.tf").read_text()
        ):
            yield (
                "only_google_and_local_modules",
                f"{where}: versions.tf does not name the provider and its version",
            )


def _block_problems(
    where: str, kind: str, block_type: str, name: str, body: str
) -> Iterator[tuple[str, str]]:
    if kind in {"variable", "output"} and not re.search(r'^\s+description\s*=\s*"', body, re.MULTILINE):
        yield "variables_and_outputs_are_described", f"{where}: {kind} {block_type} has no description"
    if kind == "variable" and not re.search(r"^\s+type\s*=", body, re.MULTILINE):
        yield "variables_have_types", f"{where}: variable {block_type} has no type"
    if kind == "data":
        yield (
            "plans_need_no_cloud",
            f"{where}: data {block_type}.{name} is read from Google; take it as a variable",
        )
    if kind == "resource" and block_type in _PROTECTED and not re.search(r"prevent_destroy\s*=\s*true", body):
        yield "what_cannot_be_made_again_is_protected", f"{where}: {block_type}.{name} lacks prevent_destroy"
    if (
        kind == "resource"
        and block_type in _REPLACED_FIRST
        and not re.search(r"create_before_destroy\s*=\s*true", body)
    ):
        yield "what_is_in_use_is_replaced_first", f"{where}: {block_type}.{name} lacks create_before_destroy"
    if kind == "provider" and re.search(r"credentials|access_token|private_key", body):
        yield "there_are_no_keys", f"{where}: the provider is given credentials"


def _blocks(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield kind, type, name and body of each block; `terraform fmt` puts its closing brace at the line's start."""
    for found in _BLOCK.finditer(text):
        end = text.index("\n}", found.end())
        yield found[1], found[2], found[3] or "", text[found.end() : end]


def untested_folders(tree: Path) -> Iterator[tuple[str, str]]:
    """Yield each module and root that has no `terraform test`."""
    for folder in sorted(
        {file.parent for file in tree.rglob("versions.tf") if ".terraform" not in file.parts}
    ):
        if not list((folder / "tests").glob("*.tftest.hcl")):
            yield "everything_has_tests", f"{folder.relative_to(tree)}: has no tests/*.tftest.hcl"
