"""Which webhook addresses are allowed at all: https, on a host that the operator listed. Resolving is left to the adapter."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from tandem_feedback.domain.errors import WebhookRefusedError

_HTTPS_PORT = 443


class WebhookHosts:
    """The operator's list: `host` (port 443) or `host:port`. With an empty list there are no webhooks."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = {host.lower() if ":" in host else f"{host.lower()}:{_HTTPS_PORT}" for host in listed}

    def require_listed(self, url: str) -> tuple[str, int]:
        """Return host and port of `url`.

        Raises:
            WebhookRefusedError: no https address, one with a name and password, or a host that is not listed.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _HTTPS_PORT
        except ValueError:
            host, port = "", 0
            parts = urlsplit("")
        if parts.scheme != "https" or not host or parts.username is not None or parts.password is not None:
            raise WebhookRefusedError(
                "webhook_url: expected https://host/path without a user name, got something else"
            )
        if f"{host}:{port}" not in self._listed:
            raise WebhookRefusedError(
                f"webhook_url: {host}:{port} is not among the hosts that TANDEM_FEEDBACK_WEBHOOK_HOSTS lists"
            )
        return host, port
