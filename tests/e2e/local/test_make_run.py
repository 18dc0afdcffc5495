"""What a user sees in the terminal of `make run`, and what a killed part does to the rest."""

import re

import psutil

from tandem_local.leftovers import STACK_MARK, find
from tests.support.stack import Stack
from tests.support.waiting import wait_until


def test_the_table_names_every_part_with_its_address_when_all_are_ready(stack: Stack) -> None:
    wait_until("the table", lambda: "Ctrl-C stops everything" in stack.output(), seconds=60)
    rows = re.findall(r"^  (\w+) +(http://\S+) +(\w+)$", stack.output(), flags=re.MULTILINE)
    assert rows == [
        ("emulator", f"http://{stack.emulator_host}", "ready"),
        ("inference", stack.inference_url, "ready"),
        ("feedback", stack.feedback_url, "ready"),
        ("chat", stack.chat_url, "ready"),
    ]


def test_each_service_logs_events_with_its_name_in_front(stack: Stack) -> None:
    for service in ("chat", "feedback", "inference"):
        assert re.search(rf"^{service} +\| \d\d:\d\d:\d\d INFO +\w", stack.output(), flags=re.MULTILINE)


def test_chat_comes_back_by_itself_when_it_is_killed(stack: Stack) -> None:
    before = stack.pid("chat")
    stack.kill("chat")
    wait_until("chat runs again", lambda: stack.pid("chat") not in {0, before})
    stack.wait_ready("chat")
    wait_until("the user is told", lambda: "chat had died and was started again" in stack.output())


def test_every_process_of_the_engine_can_be_found_as_part_of_the_stack(stack: Stack) -> None:
    stack.wait_ready("inference")
    inference = psutil.Process(stack.pid("inference"))
    titles = {process.pid: process.name() for process in inference.children(recursive=True)}
    assert any("VLLM" in title for title in titles.values()), titles
    marked = find({STACK_MARK: str(stack.state)})
    assert {pid: title for pid, title in titles.items() if pid not in marked} == {}
