"""Finds the folder of a declared adapter: its own, or that of the hub's files, which are fetched at the declared revision."""

from typing import Final

from tandem_inference.engines.declared_adapter import ADAPTER_CONFIG, Adapter
from tandem_inference.engines.engine_client import EngineCallError
from tandem_inference.engines.places import is_folder

_FILES: Final = [ADAPTER_CONFIG, "*.safetensors", "*.bin"]
# Answers that asking again does not change: no such repository or revision, no access.
_FINAL: Final = {400, 401, 403, 404}


def adapter_folder(adapter: Adapter) -> str:
    """Return the folder with the adapter's files. Blocks while they are fetched; what is there already is not fetched again.

    Raises:
        EngineCallError: the hub cannot be reached, or does not have the adapter at that revision.
    """
    if is_folder(adapter.model):
        return adapter.model
    # Comes with vLLM; heavy, and not needed by those who have no hub adapter.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return str(snapshot_download(adapter.model, revision=adapter.revision, allow_patterns=_FILES))
    except (HfHubHTTPError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        at = f" at {adapter.revision}" if adapter.revision else ""
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EngineCallError(
            f"{adapter.model}{at} could not be fetched from the hub: {first_line[:500]}",
            passing=status not in _FINAL,
        ) from None
