"""Becomes one program of the stack: ends its former life's leftovers, binds itself to its parent, then runs it.

`python -m tandem_local.launch <launch file> <program>`; supervisord calls this, so that no command or
environment ever has to be quoted into its configuration.
"""

import json
import os
import sys
from pathlib import Path

from tandem_local.leftovers import end_leftovers, marks
from tandem_local.parent_death import die_with_parent


def write_launch_file(
    path: Path, *, state: Path, programs: dict[str, tuple[list[str], dict[str, str]]]
) -> None:
    """Write what `main` reads: each program's command and environment. Only the owner may read it: it holds settings."""
    content = {
        "state": str(state),
        "programs": {name: {"command": c, "environment": e} for name, (c, e) in programs.items()},
    }
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))


def main() -> None:
    path, name = sys.argv[1:]
    parent = os.getppid()
    content = json.loads(Path(path).read_text())
    state, program = Path(content["state"]), content["programs"][name]
    environment = {**program["environment"], **marks(state, name)}
    end_leftovers(state, name)
    die_with_parent(expected_parent=parent)
    os.execvpe(program["command"][0], program["command"], environment)  # noqa: S606 - a fixed list of words, and a shell would come between parent and child


if __name__ == "__main__":
    main()
