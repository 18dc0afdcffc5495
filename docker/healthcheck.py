"""Exits 0 when the address given answers 200, for HEALTHCHECK in images that have no curl. Standard library only."""

import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 4


def main(address: str) -> int:
    """Return 0, or 1 with the reason on standard error, which the container engine keeps."""
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS):  # noqa: S310 - the image's own address
            return 0
    except urllib.error.HTTPError as answer:
        sys.stderr.write(f"{address}: {answer.code} {answer.read(300).decode(errors='replace')}\n")
    except OSError as error:
        sys.stderr.write(f"{address}: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
