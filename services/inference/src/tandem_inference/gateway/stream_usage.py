"""Takes the usage out of a stream that its caller did not ask for, and keeps the last of it.

What remains is byte for byte what the engine would have sent without it. vLLM stamps its fingerprint on an answer's last event
with text, or, when it tells usage, on the event of usage alone that follows; the stamp is moved back.
"""

import re
from typing import Final

from tandem_inference.gateway.usage import USAGE, Usage, Wish, end_of_object, read_usage

_END = b"\n\n"
_USAGE_ALONE = b'"choices":[]'
_LAST_WITH_TEXT = b'"finish_reason":"'
_DONE = b"data: [DONE]"
_FINGERPRINT: Final = re.compile(rb',"system_fingerprint":"(?:[^"\\]|\\.)*"')
_INDEX: Final = re.compile(rb'"choices":\[\{"index":(\d+)')


class Fingerprints(dict[str, bytes]):
    """What each engine stamps on its answers, as JSON; learnt from its streams and constant while the service runs."""


class StreamUsage:
    """One stream. `answers` is how many its caller wants to each of the prompts."""

    def __init__(
        self, wish: Wish, fingerprints: Fingerprints, engine: str, *, prompts: int = 1, answers: int = 1
    ) -> None:
        self._wish = wish
        self._fingerprints = fingerprints
        self._engine = engine
        self._answers = answers
        self._is_one = prompts * answers == 1
        self._rest = bytearray()  # an event that has not come whole
        self._held: list[
            tuple[bytes, bytes, bool]
        ] = []  # events from the first that needs an unknown stamp on
        self._seen: dict[int, bytes] = {}  # the latest usage of each answer
        self._total: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what the caller gets of `data` and of what was held back; b"" when nothing is whole yet."""
        if self._rest or not data.endswith(_END):
            data = self._whole_events(data)
        start, out = 0, []
        while start < len(data):
            end = data.find(_END, start) + len(_END)
            out.append(self._event(data[start:end]))
            start = end
        return out[0] if len(out) == 1 else b"".join(out)

    def finish(self) -> bytes:
        """Return what is held back once the engine has ended the stream."""
        return self.cut_off() + bytes(self._rest)

    def cut_off(self) -> bytes:
        """Return what is held back in whole events; half an event would make its reader stumble."""
        out = b"".join(before + after for before, after, _ in self._held)
        self._held = []
        return out

    def usage(self) -> Usage | None:
        """Return the tokens so far; None when the engine has told none."""
        if self._total is not None:
            return read_usage(self._total)
        told = {index: read_usage(usage) for index, usage in self._seen.items()}
        found = {index: usage for index, usage in told.items() if usage is not None}
        if not found:
            return None
        prompts = {index // self._answers: usage.prompt_tokens for index, usage in found.items()}
        return Usage(sum(prompts.values()), sum(usage.completion_tokens for usage in found.values()))

    def _whole_events(self, data: bytes) -> bytes:
        start = max(0, len(self._rest) - 1)  # the end of an event may have come in two halves
        self._rest += data
        end = self._rest.rfind(_END, start)
        if end < 0:
            return b""
        whole = bytes(self._rest[: end + len(_END)])
        del self._rest[: end + len(_END)]
        return whole

    def _event(self, event: bytes) -> bytes:
        at = event.rfind(USAGE)
        if at < 0:
            return self._without_usage(event)
        end = end_of_object(event, at)
        told = event[at + len(USAGE) - 1 : end]
        if event.endswith(_USAGE_ALONE, 0, at):
            self._total = told
            return self._usage_alone(event, end)
        self._seen[self._index(event)] = told
        if self._wish is Wish.ALWAYS:
            return event
        is_last = self._wish is Wish.NOTHING and _LAST_WITH_TEXT in event
        stamp = self._fingerprints.get(self._engine) if is_last else b""
        if stamp is None or self._held:
            self._held.append((event[:at], event[end:], is_last))
            return b""
        return event[:at] + stamp + event[end:]

    def _without_usage(self, event: bytes) -> bytes:
        if not self._held:
            return event
        if event.startswith(_DONE):
            return self.cut_off() + event
        self._held.append((event, b"", False))
        return b""

    def _usage_alone(self, event: bytes, end: int) -> bytes:
        if self._wish is not Wish.NOTHING:
            return event
        found = _FINGERPRINT.search(event, end)
        stamp = self._fingerprints[self._engine] = found.group() if found else b""
        out = b"".join(before + (stamp if is_last else b"") + after for before, after, is_last in self._held)
        self._held = []
        return out

    def _index(self, event: bytes) -> int:
        if self._is_one:
            return 0
        found = _INDEX.search(event)
        return int(found.group(1)) if found else 0
