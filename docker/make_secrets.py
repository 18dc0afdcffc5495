"""Makes the secrets of the compose stack, each in a file of its own, once; what is there is kept. Standard library only."""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path

SERVICES_WITH_DATABASE = ("chat", "feedback")
_WORDS_BYTES = 24


def main(folder: Path) -> int:
    """Fill `folder`, which is closed to other users of the machine; the files in it are open to the containers' users."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("service_token", "postgres_password", "grafana_password"):
        _keep(folder / name, _new)
    _keep(folder / "hf_token", str)  # nobody can make it up: empty until its owner writes it
    for service in SERVICES_WITH_DATABASE:
        password = _keep(folder / f"{service}_database_password", _new)
        url = f"postgresql+asyncpg://{service}:{password}@postgres/{service}"
        _keep(folder / f"{service}_database_url", lambda url=url: url)  # type: ignore[misc]
    return 0


def _new() -> str:
    return secrets.token_urlsafe(_WORDS_BYTES)


def _keep(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        unfinished = file.with_suffix(".new")
        unfinished.write_text(make())
        unfinished.chmod(0o444)
        unfinished.rename(file)
    return file.read_text()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
