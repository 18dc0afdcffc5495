"""Writes the JSON Schemas and the AsyncAPI document from the models, or checks that the committed ones are current.

Run as `python -m tandem_contracts.generate [--check]`. The models are the source; nobody edits the output by hand.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tandem_contracts import topics
from tandem_contracts.feedback import EVENT_MODELS

_PROJECT = Path(__file__).resolve().parents[2]
_SENT_TO = {
    "feedback.requested.v1": topics.FEEDBACK_REQUESTS,
    "feedback.cancel_requested.v1": topics.FEEDBACK_REQUESTS,
    "feedback.completed.v1": topics.FEEDBACK_RESULTS,
    "feedback.failed.v1": topics.FEEDBACK_RESULTS,
    "feedback.cancelled.v1": topics.FEEDBACK_RESULTS,
}
_HEADERS = {
    "type": "object",
    "required": ["ce-type", "content-type"],
    "properties": {
        "ce-id": {"type": "string", "description": "New for each publish; not the identity of the request."},
        "ce-type": {"type": "string", "description": "Decides the schema of the data."},
        "ce-source": {"type": "string", "description": "Who publishes, e.g. /tandem/chat."},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-subject": {"type": "string", "description": "The conversation id; also the ordering key."},
        "ce-specversion": {"type": "string", "const": "1.0"},
        "ce-dataschema": {"type": "string"},
        "content-type": {"type": "string", "const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context."},
    },
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return each event type's JSON Schema (draft 2020-12), keyed by event type."""
    return {
        event_type: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"{event_type}.schema.json",
            **model.model_json_schema(),
        }
        for event_type, model in EVENT_MODELS.items()
    }


def asyncapi_document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the topics and the events on them."""
    channels: dict[str, Any] = {
        topic: {"address": topic, "messages": {}, "description": f"Pub/Sub topic `{topic}`."}
        for topic in topics.TOPICS
    }
    messages: dict[str, Any] = {}
    for event_type, model in EVENT_MODELS.items():
        messages[event_type] = {
            "name": event_type,
            "summary": (model.__doc__ or "").strip(),
            "contentType": "application/json",
            "headers": _HEADERS,
            "payload": {"$ref": f"./{event_type}.schema.json"},
            "bindings": {"googlepubsub": {"orderingKey": "the conversation id"}},
        }
        channels[_SENT_TO[event_type]]["messages"][event_type] = {
            "$ref": f"#/components/messages/{event_type}"
        }
    dead = channels[topics.FEEDBACK_REQUESTS_DEAD]
    dead["description"] = (
        "Requests that could not be read or served, as they came, with the error in attributes."
    )
    dead["messages"] = {"feedback.requested.v1": {"$ref": "#/components/messages/feedback.requested.v1"}}
    dead_results = channels[topics.FEEDBACK_RESULTS_DEAD]
    dead_results["description"] = "Outcomes that chat could not take in after many deliveries, as they came."
    dead_results["messages"] = dict(channels[topics.FEEDBACK_RESULTS]["messages"])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tandem events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 over Pub/Sub in binary mode: `ce-*` attributes, JSON data. Delivery is at "
            "least once: deduplicate on `request_id`.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            "askForFeedback": _operation("send", topics.FEEDBACK_REQUESTS),
            "receiveFeedback": _operation("receive", topics.FEEDBACK_RESULTS),
        },
        "components": {"messages": messages},
    }


def _operation(action: str, topic: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic}"}}


def rendered_files() -> dict[str, str]:
    """Return the generated files' text, keyed by path relative to libs/contracts."""
    documents: dict[str, dict[str, Any]] = {
        f"schemas/{event_type}.schema.json": schema for event_type, schema in json_schemas().items()
    }
    documents["schemas/asyncapi.json"] = asyncapi_document()
    return {path: json.dumps(document, indent=2) + "\n" for path, document in documents.items()}


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with `--check` return 1 and name those that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail when a file is not current"
    )
    check = parser.parse_args(arguments).check
    stale = []
    for name, text in rendered_files().items():
        path = _PROJECT / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if check and stale:
        sys.stderr.write(f"Not current: {', '.join(stale)}. Run `make generate` and commit the result.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
