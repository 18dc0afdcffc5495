"""Sending, streaming, stopping and retrying at the awkward moments, against a chat service whose behaviour is set."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.web_page.chat_page import ChatPage
from tests.support.stub_chat import StubChat, StubProblem, about

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stub_chat]

LONG_ANSWER = "하나 둘 셋 넷 🙂🙃 다섯 " + " ".join(str(number) for number in range(100))


async def test_answer_shows_while_it_is_written_and_its_end_is_announced_once(
    page: ChatPage, stub: StubChat
) -> None:
    stub.hold_at = 8
    stub.answer = "One two three four"
    await page.open(stub.url)
    await page.ask("Count")

    await expect(page.answers).to_have_text(["One two "])
    await expect(page.announcements).to_be_empty()
    stub.release()

    await expect(page.answers).to_have_text(["One two three four"])
    await expect(page.announcements).to_have_text("The answer is complete.")


async def test_reload_during_a_reply_goes_on_with_the_exact_text(page: ChatPage, stub: StubChat) -> None:
    stub.hold_at = 20
    stub.answer = LONG_ANSWER
    await page.open(stub.url)
    await page.ask("Count on")
    await expect(page.answers).to_have_text([LONG_ANSWER[:20].strip()])

    await page.tab.reload()
    await expect(page.answers).to_have_text([LONG_ANSWER[:20].strip()])
    await expect(page.stop_button).to_be_visible()
    stub.release(until=60)
    await expect(page.answers).to_have_text([LONG_ANSWER[:60].strip()])
    stub.release()

    await page.wait_until_answered()
    await expect(page.answers).to_have_text([LONG_ANSWER])


@pytest.mark.parametrize("repeated_length", [0, 7])
async def test_broken_connections_neither_lose_nor_double_text(
    page: ChatPage, stub: StubChat, repeated_length: int
) -> None:
    stub.answer = LONG_ANSWER
    stub.repeated_length = repeated_length
    stub.cut_streams_at = [10, 11, 30]
    stub.hold_at = 60
    await page.open(stub.url)

    await page.ask("Count on")
    await expect(page.answers).to_have_text([LONG_ANSWER[:60].strip()])
    assert stub.stream_count == 4
    stub.release()

    await page.wait_until_answered()
    await expect(page.answers).to_have_text([LONG_ANSWER])


async def test_other_conversation_shows_nothing_of_a_reply_under_way(page: ChatPage, stub: StubChat) -> None:
    other = stub.add_conversation(("Old question", "Old answer"))
    stub.hold_at = 12
    stub.answer = "Secret of the first conversation"
    await page.open(stub.url)
    await page.ask("Tell me a secret")
    await expect(page.answers).to_have_text(["Secret of th"])

    await page.listed_as("Old question").click()
    await expect(page.answers).to_have_text(["Old answer"])
    await expect(page.send_button).to_be_enabled()
    stub.release()
    await page.ask_and_wait("And you?")
    await expect(page.thread).not_to_contain_text("Old answerSecret")
    await expect(page.questions).to_have_text(["Old question", "And you?"])
    assert page.tab.url.endswith(other)

    await page.listed_as("Tell me a secret").click()
    await expect(page.answers).to_have_text(["Secret of the first conversation"])


async def test_markup_in_model_text_and_titles_is_shown_as_text(page: ChatPage, stub: StubChat) -> None:
    attack = "<img src=x onerror=\"document.title='broken into'\"><script>alert(1)</script><b>bold</b>"
    stub.answer = f"{attack}\n\n```html\n{attack}\n```\n- {attack}"
    await page.open(stub.url)

    await page.ask_and_wait(attack)

    await expect(page.answers.locator("p")).to_have_text(attack)
    await expect(page.answers.locator("code")).to_have_text(attack)
    await expect(page.answers.locator("li")).to_have_text(attack)
    await expect(page.questions).to_have_text([attack])
    await expect(page.tab.locator("main img, main b, main script, nav img")).to_have_count(0)
    assert "broken into" not in (await page.tab.title()).removeprefix(attack[:60])


async def test_text_is_kept_when_the_model_is_not_ready(page: ChatPage, stub: StubChat) -> None:
    stub.engine_ready = False
    await page.open(stub.url)
    await expect(page.banner).to_contain_text("The model is starting…")

    await page.ask("Are you there?")
    await expect(page.problem).to_contain_text("Your text is kept")
    await expect(page.box).to_have_value("Are you there?")
    await expect(page.questions).to_have_count(0)
    await page.tab.reload()
    await expect(page.box).to_have_value("Are you there?")
    stub.engine_ready = True

    await expect(page.banner).to_be_empty()
    await page.box.press("Enter")
    await expect(page.answers).to_have_text([about("Are you there?")])
    await expect(page.box).to_be_empty()


async def test_text_is_kept_when_the_message_is_refused(page: ChatPage, stub: StubChat) -> None:
    await page.open(stub.url)
    for refusal, said in (
        (StubProblem(409, "reply_in_progress", "A reply is still being written."), "Another answer is still"),
        (StubProblem(422, "invalid_request", "The message is too long.", field="content"), "too long"),
        (StubProblem(500, "internal_error", "Something broke; try again."), "Something broke"),
    ):
        stub.refusal = refusal
        await page.ask(f"Hello {refusal.status}")

        await expect(page.problem).to_contain_text(said)
        await expect(page.box).to_have_value(f"Hello {refusal.status}")
        await expect(page.questions).to_have_count(0)


async def test_text_is_kept_when_the_server_is_out_of_reach(page: ChatPage, stub: StubChat) -> None:
    await page.open(stub.url)
    await page.ask_and_wait("First")
    await page.cut_network()

    await page.ask("Second")
    await expect(page.box).to_have_value("Second")
    await expect(page.banner).to_contain_text("The server cannot be reached.")
    await page.mend_network()

    await expect(page.banner).to_be_empty()
    await page.box.press("Enter")
    await expect(page.questions).to_have_text(["First", "Second"])


async def test_message_stored_without_word_of_it_is_not_sent_twice(page: ChatPage, stub: StubChat) -> None:
    stub.lose_next_acceptance = True
    await page.open(stub.url)

    await page.ask_and_wait("Only once")

    await expect(page.answers).to_have_text([about("Only once")])
    await expect(page.box).to_be_empty()


async def test_typing_during_a_reply_is_kept_and_not_sent(page: ChatPage, stub: StubChat) -> None:
    stub.hold_at = 4
    await page.open(stub.url)
    await page.ask("First")
    await expect(page.stop_button).to_be_visible()

    await page.ask("Second")
    await expect(page.problem).to_contain_text("Wait until the answer is finished")
    await expect(page.box).to_have_value("Second")
    stub.release()

    await page.wait_until_answered()
    await expect(page.problem).to_be_hidden()
    await expect(page.questions).to_have_text(["First"])


async def test_stopped_answer_keeps_its_text_and_can_be_retried(page: ChatPage, stub: StubChat) -> None:
    stub.hold_at = 8
    stub.answer = "One two three four"
    await page.open(stub.url)
    await page.ask("Count")
    await expect(page.answers).to_have_text(["One two "])

    await page.stop_button.click()
    await expect(page.thread).to_contain_text("You stopped this answer.")
    await expect(page.answers).to_have_text(["One two "])
    await expect(page.box).to_be_focused()
    await page.retry_button.click()

    await expect(page.answers).to_have_text(["One two three four"])
    await expect(page.retry_button).to_have_count(0)


@pytest.mark.parametrize(
    ("outcome", "said"), [("failed", "The answer failed."), ("interrupted", "was cut short.")]
)
async def test_unfinished_answer_says_why_and_can_be_retried(
    page: ChatPage, stub: StubChat, outcome: str, said: str
) -> None:
    stub.reply_outcome = outcome
    await page.open(stub.url)
    await page.ask("Try")
    await expect(page.thread).to_contain_text(f"{said} The engine went away while answering.")
    stub.reply_outcome = "completed"

    await page.retry_button.click()

    await expect(page.answers).to_have_text([about("Try")])
    await expect(page.thread).not_to_contain_text(said)


async def test_enter_that_ends_a_korean_syllable_does_not_send(page: ChatPage, stub: StubChat) -> None:
    await page.open(stub.url)
    await page.box.focus()
    keyboard = await page.tab.context.new_cdp_session(page.tab)
    await keyboard.send("Input.imeSetComposition", {"text": "안녕", "selectionStart": 2, "selectionEnd": 2})

    await page.tab.keyboard.press("Enter")
    await keyboard.send("Input.insertText", {"text": "안녕"})
    await expect(page.box).to_have_value(re.compile("안녕"))
    await expect(page.questions).to_have_count(0)
    await page.tab.keyboard.press("Enter")

    await expect(page.questions).to_have_text(["안녕"])


async def test_server_that_comes_back_brings_the_conversation_with_it(page: ChatPage, stub: StubChat) -> None:
    conversation_id = stub.add_conversation(("Question", "Answer"))
    await page.open(stub.url)
    await page.cut_network()
    await page.listed_as("Question").click()
    await expect(page.tab.get_by_text("This conversation could not be read")).to_be_visible()

    await page.mend_network()

    await expect(page.answers).to_have_text(["Answer"])
    assert page.tab.url.endswith(conversation_id)


async def test_message_sent_just_before_leaving_is_neither_lost_nor_shown_elsewhere(
    page: ChatPage, stub: StubChat
) -> None:
    stub.add_conversation(("Other", "Other answer"))
    first = stub.add_conversation(("First", "First answer"))
    await page.open(stub.url, first)
    stub.hold_acceptance = True
    await page.ask("Late one")
    await expect(page.questions).to_have_text(["First", "Late one"])

    await page.listed_as("Other").click()
    await expect(page.questions).to_have_text(["Other"])
    await page.listed_as("First").click()
    await expect(page.questions).to_have_text(["First"])
    stub.release()

    await expect(page.questions).to_have_text(["First", "Late one"])
    await expect(page.answers).to_have_text(["First answer", about("Late one")])
    await expect(page.box).to_be_empty()


async def test_changes_of_another_tab_show_on_return(page: ChatPage, stub: StubChat) -> None:
    conversation_id = stub.add_conversation(("First", "First answer"))
    await page.open(stub.url, conversation_id)
    await expect(page.answers).to_have_count(1)
    stub.hold_at = 8

    stub.accept_message(stub.find_conversation(conversation_id), "From elsewhere")
    stub.add_conversation(("Made elsewhere", "Answer"))
    await page.set_hidden(hidden=False)

    await expect(page.questions).to_have_text(["First", "From elsewhere"])
    await expect(page.listed_as("Made elsewhere")).to_be_visible()
    stub.release()
    await expect(page.answers.last).to_have_text(about("From elsewhere"))


async def test_older_conversations_are_shown_on_request(page: ChatPage, stub: StubChat) -> None:
    for number in range(55):
        stub.add_conversation((f"Question {number}", "Answer"))
    await page.open(stub.url)
    await expect(page.listed).to_have_count(50)
    await expect(page.listed.first).to_contain_text("Question 54")

    await page.tab.get_by_role("button", name="Show older").click()

    await expect(page.listed).to_have_count(55)
    await expect(page.listed.last).to_contain_text("Question 0")
    await expect(page.tab.get_by_role("button", name="Show older")).to_be_hidden()
