"""Asks a program whether it is alive or ready, over HTTP with the standard library; never raises."""

import urllib.error
import urllib.request

TIMEOUT_SECONDS = 2.0

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of loopback


def answers(url: str) -> bool:
    """Return whether a GET of `url` gives 200 within two seconds."""
    try:
        with _direct.open(url, timeout=TIMEOUT_SECONDS) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
