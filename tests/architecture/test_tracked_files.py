"""No tracked file ties the project to one machine or to one package registry."""

import re

from tandem_local.checkout import ROOT
from tests.architecture.sources import tracked_files

# In pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [
    "py" + r"pi\.org",
    "python" + r"hosted\.org",
    "download" + r"\.pytorch\.org",
    "npm" + r"js\.(org|com)",
]
MACHINE_PATHS = [r"(?<![\w.])/" + name + "/" for name in ("root", "work", "home")]
FORBIDDEN = re.compile("|".join([*REGISTRY_HOSTS, *MACHINE_PATHS]))


def test_no_tracked_file_names_a_registry_or_a_machine_path() -> None:
    found = []
    for path in tracked_files():
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), start=1):
            if match := FORBIDDEN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert found == []


def test_the_pattern_finds_what_it_should() -> None:
    assert FORBIDDEN.search("index-url = " + "https://py" + "pi.org/simple")
    assert FORBIDDEN.search("see " + "/ro" + "ot/notes")
    assert not FORBIDDEN.search("GET /v1/work/root-cause and homework/")
