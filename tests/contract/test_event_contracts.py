"""The committed schemas are current, every sample ever released still loads, and samples obey their schemas."""

import json
from pathlib import Path

import jsonschema
import pytest

from tandem_contracts.envelope import UnreadableEventError, decode, encode
from tandem_contracts.feedback import EVENT_MODELS
from tandem_contracts.generate import asyncapi_document, rendered_files

CONTRACTS = Path(__file__).parents[2] / "libs" / "contracts"
SAMPLES = sorted((CONTRACTS / "samples").glob("*.json"))


def load(path: Path) -> tuple[dict[str, str], dict[str, object]]:
    sample = json.loads(path.read_text())
    return sample["attributes"], sample["data"]


@pytest.mark.parametrize("name", rendered_files())
def test_committed_file_is_what_the_models_say(name: str) -> None:
    assert (CONTRACTS / name).read_text() == rendered_files()[name]


def test_every_event_type_has_a_sample() -> None:
    assert {load(path)[0]["ce-type"] for path in SAMPLES} == set(EVENT_MODELS)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_loads_and_survives_a_round_trip(path: Path) -> None:
    attributes, data = load(path)
    envelope = decode(json.dumps(data).encode(), attributes)
    again_data, again_attributes = encode(envelope)
    assert decode(again_data, again_attributes) == envelope
    assert again_attributes == attributes


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_obeys_the_committed_schema(path: Path) -> None:
    attributes, data = load(path)
    schema = json.loads((CONTRACTS / "schemas" / attributes["ce-dataschema"]).read_text())
    jsonschema.validate(data, schema, format_checker=jsonschema.FormatChecker())


def test_reader_ignores_a_field_that_a_newer_writer_added() -> None:
    attributes, data = load(CONTRACTS / "samples" / "feedback.failed.v1.json")
    decode(json.dumps({**data, "added_later": True}).encode(), attributes)


@pytest.mark.parametrize(
    ("data", "event_type", "names"),
    [
        (b"{}", "", "ce-type"),
        (b"{}", "feedback.requested.v9", "ce-type"),
        (b"not json", "feedback.requested.v1", "data"),
        (b"[]", "feedback.requested.v1", "data"),
        (b'{"request_id": "a b"}', "feedback.requested.v1", "request_id"),
        (b"\xff\xfe", "feedback.requested.v1", "data"),
        (b'{"request_id": "' + b"x" * 2_000_000 + b'"}', "feedback.requested.v1", "data"),
    ],
)
def test_unreadable_message_is_explained_by_the_part_at_fault(
    data: bytes, event_type: str, names: str
) -> None:
    with pytest.raises(UnreadableEventError, match=names):
        decode(data, {"ce-type": event_type} if event_type else {})


def test_nul_in_a_turn_is_refused() -> None:
    attributes, data = load(CONTRACTS / "samples" / "feedback.requested.v1.minimal.json")
    data["transcript"] = [{"role": "user", "content": "a\x00b"}]
    with pytest.raises(UnreadableEventError, match="transcript"):
        decode(json.dumps(data).encode(), attributes)


def test_asyncapi_puts_every_event_on_a_topic() -> None:
    channels = asyncapi_document()["channels"].values()
    assert {name for channel in channels for name in channel["messages"]} == set(EVENT_MODELS)
