"""The main job on real parts: a question, a streamed answer by a real model, feedback beside it, one trace through all."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.chat_user import ChatUser, streamed_text
from tests.support.stack import Stack
from tests.support.waiting import wait_until


def test_real_model_answers_token_by_token_and_the_answer_is_stored(user: ChatUser) -> None:
    conversation = user.new_conversation()
    found = user.ask(conversation, "What is the capital of France?")

    deltas = [event for event in found if event["event"] == "delta"]
    assert len(deltas) >= 4
    assert "Paris" in streamed_text(found)
    assert found[-1]["event"] == "end"
    stored = user.messages(conversation)[-1]
    assert stored["state"] == "completed"
    assert stored["content"] == streamed_text(found)
    assert int(deltas[-1]["id"]) == len(stored["content"])


def test_feedback_arrives_in_the_rubrics_shape_stamped_with_what_made_it(user: ChatUser) -> None:
    conversation = user.new_conversation()
    user.ask(conversation, "What is the capital of France?")
    feedback = user.wait_for_feedback(user.want_feedback(conversation))

    assert feedback["state"] == "completed", feedback
    result = feedback["result"]
    assert 1 <= result["score"] <= 5
    assert result["summary"]
    assert result["strengths"]
    assert result["improvements"]
    assert result["rubric"] == {"id": "general", "version": 1}
    assert result["model"] == "smollm2-135m-instruct"
    assert result["usage"]["completion_tokens"] > 0


def test_conversations_at_once_never_see_each_others_text(user: ChatUser) -> None:
    words = ["zebra", "volcano", "umbrella", "piano"]
    conversations = {word: user.new_conversation() for word in words}

    def talk(word: str) -> None:
        for _ in range(2):
            user.ask(conversations[word], f"Repeat this word and nothing else: {word}")

    with ThreadPoolExecutor(len(words)) as pool:
        list(pool.map(talk, words))

    for word, conversation in conversations.items():
        messages = user.messages(conversation)
        assert [message["role"] for message in messages] == ["user", "assistant"] * 2
        text = " ".join(message["content"].lower() for message in messages)
        assert word in text
        assert not [other for other in words if other != word and other in text]


def test_one_trace_joins_browser_request_outbox_worker_gateway_and_outcome(
    stack: Stack, user: ChatUser
) -> None:
    conversation = user.new_conversation()
    user.ask(conversation, "Say hello.")
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    asked = httpx.post(
        f"{stack.chat_url}/v1/conversations/{conversation}/feedback",
        headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
        trust_env=False,
    )
    assert asked.status_code == 202
    assert user.wait_for_feedback(asked.json()["id"])["state"] == "completed"

    def joined() -> list[dict[str, Any]]:
        spans = [span for span in read_spans(stack) if span["context"]["trace_id"] == f"0x{trace_id}"]
        taken_in = [
            span for span in spans if span_service(span) == "chat" and span["kind"].endswith("CONSUMER")
        ]
        return spans if taken_in else []

    spans = wait_until("the trace's last span", joined)
    steps = {(span_service(span), span["name"]) for span in spans}
    assert ("chat", "POST /v1/conversations/{conversation_id}/feedback") in steps
    assert ("chat", "publish feedback-requests") in steps
    assert ("feedback", "process message") in steps
    assert ("inference", "POST /v1/chat/completions") in steps
    assert ("feedback", "publish feedback-results") in steps
    assert ("chat", "process message") in steps

    known = {span["context"]["span_id"] for span in spans} | {"0x00f067aa0ba902b7"}
    loose = [span["name"] for span in spans if span["parent_id"] not in known]
    assert not loose, "every span hangs under another one of the trace"


def test_metrics_of_every_service_can_be_read_by_prometheus(stack: Stack, user: ChatUser) -> None:
    expected = {
        stack.chat_url: "tandem_chat_replies",
        stack.feedback_url: "tandem_consumer_messages",
        stack.inference_url: "tandem_gateway_requests",
    }
    conversation = user.new_conversation()
    user.ask(conversation, "Say hello.")
    user.wait_for_feedback(user.want_feedback(conversation))
    for url, name in expected.items():
        text = httpx.get(f"{url}/metrics", trust_env=False).text
        assert name in {family.name for family in text_string_to_metric_families(text)}


def test_logs_carry_the_trace_and_no_conversation_text(stack: Stack, user: ChatUser) -> None:
    secret = "xylophone-7431"
    conversation = user.new_conversation()
    user.ask(conversation, f"Remember the word {secret}.")
    user.wait_for_feedback(user.want_feedback(conversation))
    for service in ("chat", "feedback", "inference"):
        assert secret not in stack.logs(service)
    ended = [json.loads(line) for line in stack.logs("chat").splitlines() if '"reply.ended"' in line]
    assert len(ended[-1]["trace_id"]) == 32


def read_spans(stack: Stack) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for service in ("chat", "feedback", "inference")
        for line in stack.trace_file(service).read_text().splitlines()
    ]


def span_service(span: dict[str, Any]) -> str:
    return str(span["resource"]["attributes"]["service.name"]).removeprefix("tandem-")
