"""Events as Pub/Sub messages: CloudEvents 1.0 names in the attributes (binary mode), JSON of the model as data.

Knows nothing of Pub/Sub itself: `libs/messaging` moves what is built here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from pydantic import ValidationError

from tandem_contracts.feedback import EVENT_MODELS, FeedbackEvent

CONTENT_TYPE: Final = "application/json"
SPEC_VERSION: Final = "1.0"
# Pub/Sub takes 10 MB but a single Pull reply over gRPC stops at 4 MiB; one event stays well below both.
MAX_DATA_BYTES: Final = 1_000_000


class UnreadableEventError(ValueError):
    """The message is no event of ours; the text says which part was expected and what came instead."""


@dataclass(frozen=True)
class Envelope:
    """An event with what travels around it.

    `subject` is the conversation id, and the ordering key; `event_id` is new for each publish decision, while the
    event's own `request_id` stays the same for ever and is what receivers deduplicate on.
    """

    event: FeedbackEvent
    source: str
    event_id: str
    time: datetime
    traceparent: str | None = None

    @classmethod
    def of(cls, event: FeedbackEvent, *, source: str, traceparent: str | None = None) -> "Envelope":
        """Wrap `event` with a new id and the current time; `source` is the publishing service, e.g. `/tandem/chat`."""
        return cls(event, source, str(uuid4()), datetime.now(UTC), traceparent)


def encode(envelope: Envelope) -> tuple[bytes, dict[str, str]]:
    """Return the message's data (UTF-8 JSON) and attributes.

    Raises:
        ValueError: the data is larger than `MAX_DATA_BYTES`.
    """
    data = envelope.event.model_dump_json().encode()
    if len(data) > MAX_DATA_BYTES:
        raise ValueError(
            f"event data: expected at most {MAX_DATA_BYTES} bytes, got {len(data)}; send a shorter transcript"
        )
    attributes = {
        "ce-id": envelope.event_id,
        "ce-type": envelope.event.event_type,
        "ce-source": envelope.source,
        "ce-time": envelope.time.isoformat(),
        "ce-subject": envelope.event.conversation_id,
        "ce-specversion": SPEC_VERSION,
        "ce-dataschema": f"{envelope.event.event_type}.schema.json",
        "content-type": CONTENT_TYPE,
    }
    if envelope.traceparent:
        attributes["traceparent"] = envelope.traceparent
    return data, attributes


def decode(data: bytes, attributes: Mapping[str, str]) -> Envelope:
    """Read a message back into its event.

    `ce-id`, `ce-source` and `ce-time` may be missing (a publisher by hand); `ce-type` decides the model and may not.

    Raises:
        UnreadableEventError: unknown or missing type, data that is no JSON, or JSON that the model refuses.
    """
    event_type = attributes.get("ce-type", "")
    model = EVENT_MODELS.get(event_type)
    if model is None:
        known = ", ".join(sorted(EVENT_MODELS))
        raise UnreadableEventError(f"attribute ce-type: expected one of {known}; got {event_type!r}")
    if len(data) > MAX_DATA_BYTES:
        raise UnreadableEventError(f"data: expected at most {MAX_DATA_BYTES} bytes, got {len(data)}")
    try:
        event = model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "data"
        raise UnreadableEventError(
            f"{event_type}: {where}: {first['msg']} ({error.error_count()} errors)"
        ) from error
    return Envelope(
        event=event,
        source=attributes.get("ce-source", "unknown"),
        event_id=attributes.get("ce-id", ""),
        time=_read_time(attributes.get("ce-time")),
        traceparent=attributes.get("traceparent"),
    )


def _read_time(text: str | None) -> datetime:
    """Read `ce-time`, falling back to now: a badly set clock must not cost anyone their feedback."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.now(UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
