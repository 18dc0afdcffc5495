"""Any process may be killed at any moment: the stack starts it again, and what was asked for still comes, once."""

import json

import httpx
import pytest

from tests.support.chat_user import ChatUser
from tests.support.stack import Stack
from tests.support.waiting import wait_until


def asked(user: ChatUser) -> tuple[str, str]:
    conversation = user.new_conversation()
    user.ask(conversation, "What is the capital of France?")
    return conversation, user.want_feedback(conversation)


def outcomes_shown(stack: Stack, feedback_id: str) -> int:
    lines = [
        line
        for line in stack.logs("chat").splitlines()
        if '"feedback.outcome"' in line and feedback_id in line
    ]
    return sum(json.loads(line)["first_time"] for line in lines)


def killed_and_back(stack: Stack, part: str) -> None:
    before = stack.pid(part)
    stack.kill(part)
    wait_until(f"{part} runs again", lambda: stack.pid(part) not in {0, before}, seconds=30)


def test_result_arrives_once_when_the_worker_is_killed_in_the_middle(stack: Stack, user: ChatUser) -> None:
    _, feedback_id = asked(user)

    def running() -> bool:
        found = httpx.get(f"{stack.feedback_url}/v1/feedback/{feedback_id}", trust_env=False)
        return found.status_code == 200 and found.json()["state"] == "running"

    wait_until("the worker is on it", running)
    killed_and_back(stack, "feedback")
    assert user.wait_for_feedback(feedback_id)["state"] == "completed"
    assert outcomes_shown(stack, feedback_id) == 1


@pytest.mark.parametrize("part", ["chat", "emulator"])
def test_result_arrives_once_when_another_part_is_killed_after_asking(
    stack: Stack, user: ChatUser, part: str
) -> None:
    conversation, feedback_id = asked(user)
    before = user.messages(conversation)
    killed_and_back(stack, part)
    assert user.wait_for_feedback(feedback_id)["state"] == "completed"
    assert outcomes_shown(stack, feedback_id) == 1
    assert user.messages(conversation) == before


def test_reply_is_kept_as_far_as_it_came_and_can_be_written_again_when_chat_is_killed(
    stack: Stack, user: ChatUser
) -> None:
    conversation = user.new_conversation()
    kill_while_streaming(stack, conversation, "Write a long story about a ship and its captain.")
    stack.wait_ready("chat")

    def cut_off() -> bool:
        return bool(user.messages(conversation)[-1]["state"] == "interrupted")

    wait_until("the reply is marked as cut off", cut_off, seconds=60)
    reply = user.messages(conversation)[-1]
    assert reply["content"]
    again = httpx.post(f"{stack.chat_url}/v1/replies/{reply['id']}/retry", timeout=120, trust_env=False)
    assert again.status_code == 200
    assert user.messages(conversation)[-1]["state"] == "completed"


def kill_while_streaming(stack: Stack, conversation: str, content: str) -> None:
    path = f"{stack.chat_url}/v1/conversations/{conversation}/messages"
    seen = ""
    try:
        with httpx.stream("POST", path, json={"content": content}, timeout=60, trust_env=False) as response:
            for line in response.iter_lines():
                seen += line
                if len(seen) > 3000:
                    stack.kill("chat")
    except httpx.TransportError:
        return
    pytest.fail("the stream ended in order although chat was killed")


def test_chat_says_so_and_the_result_still_arrives_once_when_inference_is_killed(
    stack: Stack, user: ChatUser
) -> None:
    _, feedback_id = asked(user)
    empty = user.new_conversation()
    killed_and_back(stack, "inference")
    refused = httpx.post(
        f"{stack.chat_url}/v1/conversations/{empty}/messages", json={"content": "Hello?"}, trust_env=False
    )
    assert refused.status_code == 503
    assert refused.json()["code"] == "engine_not_ready"
    assert int(refused.headers["Retry-After"]) > 0
    assert user.messages(empty) == []
    stack.wait_ready("inference")  # a port or memory still held by an engine left behind would prevent it
    assert user.ask(empty, "Hello?")[-1]["data"]["reply"]["state"] == "completed"
    assert user.wait_for_feedback(feedback_id)["state"] == "completed"
    assert outcomes_shown(stack, feedback_id) == 1
