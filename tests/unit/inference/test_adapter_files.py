"""Where an adapter's files come from, and which failures of the hub are worth another try."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tandem_inference.engines.adapter_files import adapter_folder
from tandem_inference.engines.declared_adapter import Adapter
from tandem_inference.engines.engine_client import EngineCallError

HUB = Adapter(name="formal", model="organisation/formal", revision="0123abc")


class _HubError(Exception):
    def __init__(self, status: int | None) -> None:
        super().__init__("404 Client Error.\nMore lines")
        self.response = None if status is None else SimpleNamespace(status_code=status)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The hub's client, which the tests' environment does not have: what it was asked, and what it raises."""
    state = SimpleNamespace(asked=[], error=None)

    def snapshot_download(repository: str, **options: Any) -> str:
        state.asked.append((repository, options))
        if state.error is not None:
            raise state.error
        return "/cache/formal"

    errors = ModuleType("huggingface_hub.errors")
    errors.HfHubHTTPError = _HubError  # type: ignore[attr-defined]
    module = ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return state


def test_a_hub_adapter_is_fetched_at_its_revision(hub: SimpleNamespace) -> None:
    assert adapter_folder(HUB) == "/cache/formal"
    ((repository, options),) = hub.asked
    assert (repository, options["revision"]) == ("organisation/formal", "0123abc")


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (_HubError(404), False),
        (_HubError(401), False),
        (_HubError(503), True),
        (_HubError(None), True),
        (OSError("disk full"), True),
    ],
)
def test_only_what_may_pass_is_worth_another_try(
    hub: SimpleNamespace, error: Exception, passing: bool
) -> None:
    hub.error = error
    with pytest.raises(
        EngineCallError, match="organisation/formal at 0123abc could not be fetched"
    ) as caught:
        adapter_folder(HUB)
    assert caught.value.passing is passing
    assert "\n" not in str(caught.value)
