"""Checks that a port can be listened on, so that a taken one is named before anything heavy starts."""

import socket

from tandem_inference.errors import StartError


def refuse_taken_port(host: str, port: int, *, what: str, setting: str) -> None:
    """Raise StartError naming `what` and the `setting` to change when `host`:`port` cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise StartError(
            f"{what} cannot listen on {host} port {port}: {error.strerror or error}. "
            f"Stop the program that uses the port, or set {setting}."
        ) from None
