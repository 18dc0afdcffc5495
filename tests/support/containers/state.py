"""A container engine's whole state in one folder: configuration, storage and programs, nothing of it shared with another engine's."""

import os
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# An engine's own defaults for these lie above what many machines allow.
_MOST_OPEN_FILES = 16_384
_MOST_PROCESSES = 32_768


@dataclass(frozen=True)
class State:
    """Where one engine keeps everything; `environment` makes podman and compose use it and nothing else."""

    folder: Path

    def make(self) -> None:
        for name in ("storage", "run", "tmp", "networks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "storage.conf").write_text(self._storage())
        (self.folder / "containers.conf").write_text(self._containers())
        (self.folder / "pip.conf").write_text(_pip_configuration())

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "TMPDIR": str(self.folder / "tmp"),
        }

    def _storage(self) -> str:
        return f'[storage]\ndriver = "overlay"\ngraphroot = "{self.folder}/storage"\nrunroot = "{self.folder}/run/storage"\n'

    def _containers(self) -> str:
        files = _at_most(resource.RLIMIT_NOFILE, _MOST_OPEN_FILES)
        processes = _at_most(resource.RLIMIT_NPROC, _MOST_PROCESSES)
        # Without systemd: control groups as files, events and logs in files. runc runs on every version of control groups.
        return f"""[containers]
log_driver = "k8s-file"
init_path = "/usr/bin/catatonit"
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{self.folder}/run/libpod"
[network]
network_backend = "netavark"
network_config_dir = "{self.folder}/networks"
"""


def _at_most(limit: int, most: int) -> int:
    _, hard = resource.getrlimit(limit)
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def _pip_configuration() -> str:
    """Return how pip reaches its index from here, for use inside a build; folders of this machine are not there."""
    listing = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    lines = [f"cert = /run/secrets/{CERTIFICATES.stem.replace('-', '_')}"] if CERTIFICATES.exists() else []
    for line in listing.stdout.splitlines():
        key, _, value = line.partition("=")
        addresses = [word for word in value.strip("'").split() if word.startswith("http")]
        if key.rpartition(".")[2] in {"index-url", "extra-index-url"} and addresses:
            lines.append(f"{key.rpartition('.')[2]} = {' '.join(addresses)}")
    return "\n".join(["[global]", *dict.fromkeys(lines), ""])
