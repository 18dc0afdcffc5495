"""Sends webhooks over https: signed, to a public address that was checked and is then the one connected to, never redirected.

Which hosts are allowed is decided before; this guards against what their names resolve to.
"""

import asyncio
import hmac
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM, gaierror
from typing import Final

import httpx

from tandem_feedback.domain.errors import WebhookRefusedError
from tandem_feedback.domain.webhooks import Answer, Delivery

_TIMEOUT_SECONDS = 5.0
_WHOLE_SECONDS = 10.0
_MAX_ANSWER_BYTES = 65_536
# Networks that lead to an IPv4 address inside of them.
_TRANSLATED: Final = tuple(
    IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def public_addresses(host: str, port: int) -> Sequence[str]:
    """Resolve `host`.

    Raises:
        WebhookRefusedError: one of its addresses is private, loopback, link-local or otherwise not public.
        OSError: it does not resolve.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_public(address):
            raise WebhookRefusedError(
                f"webhook_url: {host} resolves to {address}, which is no public address"
            )
    return addresses


def is_public(address: str) -> bool:
    """Tell whether `address` belongs to a host on the Internet, however it is written."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if any(parsed in network for network in _TRANSLATED):
            return False
    return parsed.is_global and not parsed.is_multicast


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return what a receiver compares: HMAC-SHA256 over timestamp, a dot, and the body, in hexadecimal."""
    return hmac.new(secret, timestamp.encode() + b"." + body, "sha256").hexdigest()


class HttpsWebhookSender:
    """`application.deliver_webhooks.WebhookSender`. Close it with the application.

    `resolve` has to check what it returns; tests put their own in its place, and their own `trust`.
    """

    def __init__(
        self, secret: str, *, resolve: Resolve = public_addresses, trust: ssl.SSLContext | None = None
    ) -> None:
        self._secret = secret.encode()
        self._resolve = resolve
        # No connection is kept: one to an address may belong to another host's name.
        self._client = httpx.AsyncClient(
            verify=trust or ssl.create_default_context(),
            timeout=_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def send(self, delivery: Delivery, *, host: str, port: int) -> Answer:
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                address = (await self._resolve(host, port))[0]
                return await self._post(delivery, host, port, address)
        except TimeoutError:
            return Answer(None, f"no whole answer within {_WHOLE_SECONDS:.0f} s")
        except gaierror as error:
            return Answer(None, f"{host} does not resolve: {error.strerror}")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer(None, f"{type(error).__name__}: {error}")

    async def _post(self, delivery: Delivery, host: str, port: int, address: str) -> Answer:
        timestamp = str(int(time.time()))
        headers = {
            "Host": host if port == 443 else f"{host}:{port}",
            "Content-Type": "application/json",
            "User-Agent": "tandem-feedback",
            "Tandem-Event": delivery.event_type,
            "Tandem-Delivery": delivery.id,
            "Tandem-Timestamp": timestamp,
            "Tandem-Signature": f"v1={signature(self._secret, timestamp, delivery.body)}",
        }
        # The address stands in the URL, so that nothing resolves the name once more; TLS still checks the name.
        url = httpx.URL(delivery.url).copy_with(host=address, port=port)
        request = self._client.build_request(
            "POST", url, headers=headers, content=delivery.body, extensions={"sni_hostname": host}
        )
        response = await self._client.send(request, stream=True)
        try:
            received = 0
            async for chunk in response.aiter_raw():
                received += len(chunk)
                if received > _MAX_ANSWER_BYTES:
                    return Answer(
                        None, f"answered {response.status_code} with more than {_MAX_ANSWER_BYTES} bytes"
                    )
        finally:
            await response.aclose()
        told = " (redirects are not followed)" if response.is_redirect else ""
        return Answer(response.status_code, f"answered {response.status_code}{told}")
