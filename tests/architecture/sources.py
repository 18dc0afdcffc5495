"""What the architecture tests look at: the project's tracked files and what its modules import."""

import ast
import subprocess
from pathlib import Path

from tandem_local.checkout import ROOT

CODE_ROOTS = ("libs", "services", "local", "tests", "benchmarks", "infra")
SERVICES = ("tandem_chat", "tandem_feedback", "tandem_inference")
LIBRARIES = ("tandem_contracts", "tandem_messaging", "tandem_telemetry")


def tracked_files() -> list[Path]:
    """Return every file that git tracks or would track, without those just deleted."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[Path]:
    """Return the Python modules of the project; migrations are written by a tool and have rules of their own."""
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in CODE_ROOTS
        and "versions" not in path.parts
    ]


def package_modules(package: str) -> list[Path]:
    return [path for path in modules() if package in path.parts and "src" in path.parts]


def imported_packages(module: Path) -> set[str]:
    """Return the top-level names that a module imports anywhere in it, functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names
