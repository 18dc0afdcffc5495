#!/usr/bin/env bash
# Writes the two lock files beside this script: ./lock.sh [cpu|gpu]...
# The CPU build of torch is not on the default index: say where it is with UV_FIND_LINKS (a folder or page of wheels) or
# UV_INDEX (an index). UV names the uv program to use. Pinned versions are kept; delete a lock file first to renew it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"

lock() {
  local build=$1
  "${UV:-uv}" pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
    --no-emit-package tandem-contracts --no-emit-package tandem-telemetry \
    --override "services/inference/lock-overrides.$build.txt" \
    --extra "$build" --extra small-model services/inference/pyproject.toml - \
    --output-file "services/inference/requirements.$build.lock" >/dev/null <<REQUIREMENTS
tandem-contracts @ file://$root/libs/contracts
tandem-telemetry @ file://$root/libs/telemetry
flit_core>=3.12,<4
REQUIREMENTS
  echo "wrote services/inference/requirements.$build.lock"
}

[ $# -gt 0 ] || set -- cpu gpu
for build in "$@"; do
  case $build in
    cpu) lock cpu ;;
    # The GPU build takes torch from the default index, even where a CPU build lies nearer.
    gpu) (unset UV_FIND_LINKS UV_INDEX UV_EXTRA_INDEX_URL; lock gpu) ;;
    *) echo "lock.sh: expected cpu or gpu, got '$build'" >&2; exit 2 ;;
  esac
done
