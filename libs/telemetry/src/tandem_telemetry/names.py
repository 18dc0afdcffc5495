"""The closed set of metric and attribute names, so that dashboards and alerts can rely on them.

A name that is not here is not emitted. Units follow the OpenTelemetry conventions (seconds, `{item}` counts).
"""

from typing import Final

# Span and log attributes.
REQUEST_ID: Final = "tandem.request_id"
CONVERSATION_ID: Final = "tandem.conversation_id"
REPLY_ID: Final = "tandem.reply_id"
REQUEST_CLASS: Final = "tandem.request_class"
ENGINE: Final = "tandem.engine"
EVENT_TYPE: Final = "tandem.event_type"
OUTCOME: Final = "tandem.outcome"
STATE: Final = "tandem.state"

# Chat.
CHAT_REPLIES: Final = "tandem.chat.replies"
CHAT_TIME_TO_FIRST_TOKEN: Final = "tandem.chat.time_to_first_token"  # noqa: S105 - a metric's name, no secret
CHAT_FEEDBACK: Final = "tandem.chat.feedback"

# Messaging: outbox, relay, consumers.
OUTBOX_PUBLISHED: Final = "tandem.outbox.published"
OUTBOX_FAILURES: Final = "tandem.outbox.failures"
OUTBOX_DELAY: Final = "tandem.outbox.delay"
CONSUMER_MESSAGES: Final = "tandem.consumer.messages"
CONSUMER_DURATION: Final = "tandem.consumer.duration"
CONSUMER_IN_FLIGHT: Final = "tandem.consumer.in_flight"

# Feedback.
FEEDBACK_JOBS: Final = "tandem.feedback.jobs"
FEEDBACK_GENERATION: Final = "tandem.feedback.generation"
FEEDBACK_WAITS: Final = "tandem.feedback.waits"

# Inference.
GATEWAY_REQUESTS: Final = "tandem.gateway.requests"
GATEWAY_TIME_TO_FIRST_BYTE: Final = "tandem.gateway.time_to_first_byte"
GATEWAY_CLIENT_DISCONNECTS: Final = "tandem.gateway.client_disconnects"
ENGINE_RESTARTS: Final = "tandem.engine.restarts"
ENGINE_READY: Final = "tandem.engine.ready"
