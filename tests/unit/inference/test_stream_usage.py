"""What is left of a stream once the usage that its caller did not ask for is out: exactly what vLLM sends without it."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem_inference.gateway.stream_usage import Fingerprints, StreamUsage
from tandem_inference.gateway.usage import Usage, Wish, ask_for_usage, usage_in

STAMP = {"system_fingerprint": "vllm-0.32.0-tp2-\\"}
NASTY = [
    'said ,"usage":{"a":1} twice',
    '"choices":[],"usage":{',
    "\n\n",
    "한글 \u2028 \\",
    '"finish_reason":"stop"',
    "",
]


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps(head | more, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def _choice(index: int, text: str, reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "logprobs": None, "finish_reason": reason}


def _used(prompt: int, completion: int) -> dict[str, Any]:
    details = {
        "completion_tokens_details": None,
        "prompt_tokens_details": {"cached_tokens": 0, "more": {"x": 1}},
    }
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
    } | details


def vllm_stream(texts: list[list[str]], wish: Wish, *, stamped: bool = True) -> bytes:
    """What vLLM 0.32 sends for these pieces of each answer: usage and stamp go where its serving code puts them."""
    always, told = wish is Wish.ALWAYS, wish is not Wish.NOTHING
    stamp = STAMP if stamped else {}
    events, written = [], [0] * len(texts)
    begun: dict[str, Any] = {"usage": _used(7, 0)} if always else {}
    events += [_event([_choice(index, "")], **begun) for index in range(len(texts))]
    for position in range(max(map(len, texts))):
        for index, pieces in enumerate(texts):
            if position < len(pieces):
                written[index] += 1
                last = position == len(pieces) - 1
                more: dict[str, Any] = {"usage": _used(7, written[index])} if always else {}
                more |= stamp if last and not told else {}
                events.append(_event([_choice(index, pieces[position], "stop" if last else None)], **more))
    if told:
        events.append(_event([], usage=_used(7, sum(written)), **stamp))
    return b"".join(events) + b"data: [DONE]\n\n"


def _pass(stream: StreamUsage, data: bytes, cuts: list[int] | None = None) -> bytes:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges) if a < b]
    return b"".join(map(stream.feed, pieces)) + stream.finish()


@pytest.mark.parametrize("wish", Wish)
@given(
    texts=st.lists(st.lists(st.sampled_from(NASTY), min_size=1, max_size=4), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 5000), max_size=12),
    stamped=st.booleans(),
    streams=st.integers(1, 2),
)
def test_the_caller_sees_what_it_would_have_got_directly_however_the_network_cuts_it(
    wish: Wish, texts: list[list[str]], cuts: list[int], stamped: bool, streams: int
) -> None:
    known = Fingerprints()
    for _ in range(streams):  # the stamp is unknown at first and known afterwards
        stream = StreamUsage(wish, known, "engine", answers=len(texts))
        passed = _pass(stream, vllm_stream(texts, Wish.ALWAYS, stamped=stamped), cuts)
        assert passed == vllm_stream(texts, wish, stamped=stamped)
        assert stream.usage() == Usage(7, sum(map(len, texts)))


def test_each_event_is_passed_on_as_soon_as_it_is_whole() -> None:
    stream = StreamUsage(Wish.NOTHING, Fingerprints(), "engine")
    event = _event([_choice(0, "one")], usage=_used(7, 1))
    assert stream.feed(event) == _event([_choice(0, "one")])
    assert stream.feed(event[:-1]) == b""
    assert stream.feed(event[-1:]) == _event([_choice(0, "one")])


def test_tokens_of_a_stream_that_is_left_are_those_told_so_far() -> None:
    stream = StreamUsage(Wish.NOTHING, Fingerprints(), "engine", prompts=2, answers=2)
    assert stream.usage() is None
    for index, tokens in [(0, 1), (3, 1), (0, 2)]:  # the third answer is one to the second prompt
        stream.feed(_event([_choice(index, "x")], usage=_used(7, tokens)))
    assert stream.usage() == Usage(prompt_tokens=14, completion_tokens=3)


def test_what_was_held_back_comes_when_the_engine_dies_and_half_an_event_does_not() -> None:
    stream = StreamUsage(Wish.NOTHING, Fingerprints(), "engine")
    last = _event([_choice(0, "end", "stop")], usage=_used(7, 1))
    assert stream.feed(last + b'data: {"id":"x') == b""
    assert stream.cut_off() == _event([_choice(0, "end", "stop")])


def test_an_error_of_the_engine_inside_the_stream_passes_with_what_came_before() -> None:
    error = b'data: {"error":{"message":"bad","code":500}}\n\ndata: [DONE]\n\n'
    stream = StreamUsage(Wish.NOTHING, Fingerprints(), "engine")
    sent = _pass(stream, _event([_choice(0, "end", "stop")], usage=_used(7, 1)) + error)
    assert sent == _event([_choice(0, "end", "stop")]) + error


@pytest.mark.parametrize(
    ("body", "wish"),
    [
        ({"stream": True}, Wish.NOTHING),
        ({"stream": True, "stream_options": None}, Wish.NOTHING),
        ({"stream": True, "stream_options": {"continuous_usage_stats": True}}, Wish.NOTHING),
        ({"stream": True, "stream_options": {"include_usage": True}}, Wish.AT_THE_END),
        (
            {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
            Wish.ALWAYS,
        ),
    ],
)
def test_the_engine_is_asked_for_usage_whatever_the_caller_asked_for(
    body: dict[str, Any], wish: Wish
) -> None:
    assert ask_for_usage(body) is wish
    assert body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"stream": False, "stream_options": {"include_usage": True}},
        {"stream": "true"},
        {"stream": True, "stream_options": [1]},
        {"stream": True, "stream_options": {"include_usage": "perhaps"}},
        {"stream": True, "stream_options": {"include_usage": {}}},
    ],
)
def test_what_asks_for_no_stream_or_asks_oddly_is_left_to_the_engine(body: dict[str, Any]) -> None:
    before = json.dumps(body)
    assert ask_for_usage(body) is None
    assert json.dumps(body) == before


def test_usage_of_a_whole_answer_is_read_beside_text_that_looks_like_it() -> None:
    answer = {
        "choices": [{"message": {"content": ',"usage":{"prompt_tokens":9}'}}],
        "usage": _used(7, 3),
        "end": {},
    }
    assert usage_in(json.dumps(answer, separators=(",", ":")).encode()) == Usage(7, 3)
    assert usage_in(b'{"error":{}}') is None
    assert usage_in(b'{"x":1,"usage":{"prompt_tokens":') is None
