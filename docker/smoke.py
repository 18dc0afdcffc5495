"""Asks a running stack one question and for feedback on it, as a user would, and tells what came. Standard library only.

`python3 docker/smoke.py http://127.0.0.1:8000` exits 0 when both arrived.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

FEEDBACK_SECONDS = 120
QUESTION = "What is the capital of France?"


def main(chat: str) -> int:
    """Return 0, or 1 with what was expected and what came on standard error."""
    try:
        conversation = _call("POST", f"{chat}/v1/conversations")["id"]
        reply = _ask(f"{chat}/v1/conversations/{conversation}")
        print(f"chat answered: {reply}")
        asked = _call("POST", f"{chat}/v1/conversations/{conversation}/feedback")
        outcome = _wait_for_outcome(f"{chat}/v1/feedback/{asked['id']}")
    except (OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"smoke: {error!r}\n")
        return 1
    print(f"feedback arrived: {json.dumps(outcome)}")
    return 0


def _ask(conversation: str) -> str:
    request = _request("POST", f"{conversation}/messages", {"content": QUESTION})
    with urllib.request.urlopen(request, timeout=FEEDBACK_SECONDS) as stream:  # noqa: S310 - the address is the caller's
        stream.read()  # until the reply is over
    reply = _call("GET", conversation)["messages"][-1]
    if reply["role"] != "assistant" or reply["state"] != "completed" or not reply["content"]:
        raise ValueError(f"expected a completed reply with text, got {reply}")
    return str(reply["content"])


def _wait_for_outcome(address: str) -> dict[str, Any]:
    deadline = time.monotonic() + FEEDBACK_SECONDS
    while time.monotonic() < deadline:
        feedback: dict[str, Any] = _call("GET", address)
        if feedback["state"] == "completed":
            return feedback
        if feedback["state"] in {"failed", "cancelled"}:
            break
        time.sleep(0.5)
    raise ValueError(f"expected completed feedback, got {feedback}")


def _call(method: str, address: str) -> Any:
    with urllib.request.urlopen(_request(method, address), timeout=30) as answer:  # noqa: S310 - the address is the caller's
        return json.loads(answer.read())


def _request(method: str, address: str, body: dict[str, Any] | None = None) -> urllib.request.Request:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    return urllib.request.Request(address, data=data, method=method, headers=headers)  # noqa: S310 - as above


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].rstrip("/")))
