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

# Of OpenTelemetry's conventions for generative AI.
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - an attribute's name, no secret
PROCESS_ID: Final = "process.pid"
PROCESS_ROLE: Final = "tandem.process_role"
GPU: Final = "tandem.gpu"
GPU_NAME: Final = "tandem.gpu_name"

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
GATEWAY_DISCONNECT_TO_FREE: Final = "tandem.gateway.disconnect_to_free"
GATEWAY_QUEUE_WAIT: Final = "tandem.gateway.queue_wait"
GATEWAY_TOKENS: Final = "tandem.gateway.tokens"
ENGINE_RESTARTS: Final = "tandem.engine.restarts"
ENGINE_READY: Final = "tandem.engine.ready"
ENGINE_STATE: Final = "tandem.engine.state"
ADMISSION_SLOTS: Final = "tandem.admission.slots"
ADMISSION_BACKGROUND_LIMIT: Final = "tandem.admission.background_limit"
ADMISSION_RUNNING: Final = "tandem.admission.running"
ADMISSION_WAITING: Final = "tandem.admission.waiting"
ADMISSION_OLDEST_WAIT: Final = "tandem.admission.oldest_wait"
KV_CACHE_PLANNED: Final = "tandem.kv_cache.planned"
KV_CACHE_REPORTED: Final = "tandem.kv_cache.reported"
KV_CACHE_ERROR: Final = "tandem.kv_cache.error"
PROCESS_RESIDENT_MEMORY: Final = "tandem.process.resident_memory"
PROCESS_PROPORTIONAL_MEMORY: Final = "tandem.process.proportional_memory"
PROCESS_UNIQUE_MEMORY: Final = "tandem.process.unique_memory"
GPU_MEMORY_TOTAL: Final = "tandem.gpu.memory_total"
GPU_MEMORY_USED: Final = "tandem.gpu.memory_used"
GPU_MEMORY_FREE: Final = "tandem.gpu.memory_free"
GPU_UTILIZATION: Final = "tandem.gpu.utilization"
GPU_PROCESS_MEMORY: Final = "tandem.gpu.process_memory"
