"""Tells, without a network, whether each lock file still satisfies what its projects declare."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tandem_local.checkout import ROOT
from tandem_local.locks import BUILD_BACKEND, HEADER, LOCKS

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_INFERENCE = tuple((f"services/inference/requirements.{build}.lock", build) for build in ("cpu", "gpu"))


def problems(root: Path = ROOT) -> list[str]:
    """Return one sentence per disagreement; an empty list when all locks are good."""
    found: list[str] = []
    for lock in LOCKS.values():
        wanted = [r for source in lock.sources for r in _declared(root, root / source, extras=())]
        found += _compare(root / lock.file, [*wanted, Requirement(BUILD_BACKEND)], f"make lock S={lock.name}")
        for other in lock.constraints:
            found += _same_versions(root / lock.file, root / other)
    for file, build in _INFERENCE:
        project = root / "services/inference/pyproject.toml"
        wanted = list(_declared(root, project, extras=(build, "small-model")))
        found += _compare(root / file, [*wanted, Requirement(BUILD_BACKEND)], "make lock S=inference")
    return found


def pins(lock: Path) -> dict[str, str]:
    return {canonicalize_name(m["name"]): m["version"] for m in _PIN.finditer(lock.read_text())}


def _declared(root: Path, source: Path, *, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """Yield what a project or a .in file asks for, following this checkout's own libraries."""
    if source.suffix == ".in":
        lines = (line.split("#")[0].strip() for line in source.read_text().splitlines())
        yield from (Requirement(line) for line in lines if line)
        return
    project = tomllib.loads(source.read_text())["project"]
    optional = project.get("optional-dependencies", {})
    for line in [*project.get("dependencies", []), *(line for extra in extras for line in optional[extra])]:
        requirement = Requirement(line)
        if requirement.name.startswith("tandem-"):
            library = root / "libs" / requirement.name.removeprefix("tandem-") / "pyproject.toml"
            yield from _declared(root, library, extras=())
        else:
            yield requirement


def _compare(lock: Path, wanted: list[Requirement], remedy: str) -> Iterator[str]:
    name = lock.name if lock.parent.name == "." else f"{lock.parent.name}/{lock.name}"
    if not lock.exists():
        yield f"{name} is missing: run `{remedy}`."
        return
    text = lock.read_text()
    locked = pins(lock)
    for requirement in wanted:
        version = locked.get(canonicalize_name(requirement.name))
        if version is None:
            yield f"{name} lacks {requirement.name}: run `{remedy}`."
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{name} has {requirement.name} {version}, but {requirement} is declared: run `{remedy}`."
    if re.search(r"https?://|file:|^-", text, flags=re.MULTILINE):
        yield f"{name} holds an address or an option of pip: it must hold names, versions and hashes only."
    if unhashed := [
        m["name"]
        for m in re.finditer(_PIN.pattern + r"(?P<rest>.*)$", text, re.MULTILINE)
        if not m["rest"].endswith("\\")
    ]:
        yield f"{name} has no hashes for {', '.join(unhashed)}: run `{remedy}`."


def _same_versions(lock: Path, other: Path) -> Iterator[str]:
    if not (lock.exists() and other.exists()):
        return
    mine, theirs = pins(lock), pins(other)
    for name in sorted(set(mine) & set(theirs)):
        if mine[name] != theirs[name]:
            yield f"{lock.name} tests with {name} {mine[name]}, but {other.parent.name} ships {theirs[name]}: run `make lock`."
    if not lock.read_text().startswith(HEADER):
        yield f"{lock.name} was not written by `make lock`."
