"""Speaks to one engine as its supervisor: health, adapters, sleep. Requests of callers go another way, through the gateway.

vLLM opens the paths for adapters and sleep only on certain variables (see `vllm_command`), and on loopback.
"""

from types import TracebackType
from typing import Any, Self

import httpx

_HEALTH_TIMEOUT_SECONDS = 5.0
_CONNECT_TIMEOUT_SECONDS = 5.0


class EngineCallError(Exception):
    """The engine did not do what it was asked; `passing` says whether asking again may help."""

    def __init__(self, reason: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.passing = passing


class EngineClient:
    """Calls to the engine at `base_url`; each may take `timeout_seconds`. Use it as a context."""

    def __init__(self, base_url: str, timeout_seconds: float) -> None:
        timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_TIMEOUT_SECONDS)
        self._client = httpx.AsyncClient(base_url=base_url, timeout=timeout, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def is_healthy(self) -> bool:
        """Whether the engine answers its health check now."""
        try:
            return (await self._client.get("/health", timeout=_HEALTH_TIMEOUT_SECONDS)).is_success
        except httpx.TransportError:
            return False

    async def load_adapter(self, name: str, folder: str) -> None:
        """Load the adapter in `folder` as `name`, in the place of one that is called so."""
        # Not `load_inplace`: vLLM keeps that with the adapter and would read its files again for each request.
        await self.unload_adapter(name)
        await self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": folder})

    async def unload_adapter(self, name: str) -> None:
        """Forget the adapter; one that is not there is no error."""
        await self._post("/v1/unload_lora_adapter", {"lora_name": name}, absent_is_fine=True)

    async def probe(self, model: str) -> None:
        """Have `model` generate one token."""
        await self._post("/v1/completions", {"model": model, "prompt": "Hello", "max_tokens": 1})

    async def sleep(self) -> None:
        """Move the weights to host memory and drop the KV cache; nothing may be running."""
        await self._post("/sleep?level=1", {})

    async def wake_up(self) -> None:
        """Bring the weights back. Returns when the engine can answer."""
        await self._post("/wake_up", {})

    async def _post(self, path: str, body: dict[str, Any], *, absent_is_fine: bool = False) -> None:
        """Raise EngineCallError with the engine's own words unless it answers with success."""
        try:
            answer = await self._client.post(path, json=body)
        except httpx.TransportError as error:
            raise EngineCallError(f"POST {path}: {error or type(error).__name__}", passing=True) from None
        if answer.is_success or (absent_is_fine and answer.status_code == 404):
            return
        raise EngineCallError(_words_of(answer), passing=answer.status_code in {408, 429, 503})


def _words_of(answer: httpx.Response) -> str:
    try:
        document = answer.json()
        return str(document["error"]["message"])[:1000]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}: {answer.text[:300]}"
