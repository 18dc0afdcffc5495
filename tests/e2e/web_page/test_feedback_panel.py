"""The feedback panel through every state, against a chat service whose feedback moves when the test says so."""

import pytest
from playwright.async_api import expect

from tests.e2e.web_page.chat_page import ChatPage
from tests.support.stub_chat import EXAMPLE_RESULT, StubChat

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stub_chat]


async def test_feedback_is_followed_from_asking_to_its_result(page: ChatPage, stub: StubChat) -> None:
    stub.feedback_moves_by_itself = False
    await page.open(stub.url, stub.add_conversation(("Question", "Answer")))
    current_step = page.feedbacks.locator("[aria-current=step]")
    await page.feedback_button.click()
    await expect(current_step).to_have_text("Waiting to be sent")
    (feedback,) = stub.feedbacks.values()

    stub.move_feedback(feedback, "queued")
    await expect(current_step).to_have_text("Waiting for the writer")
    stub.move_feedback(feedback, "completed")

    await expect(page.feedbacks.get_by_role("img", name="Score: 4 of 5")).to_be_visible()
    for text in (EXAMPLE_RESULT["summary"], *EXAMPLE_RESULT["strengths"], *EXAMPLE_RESULT["improvements"]):
        await expect(page.feedbacks.get_by_text(text)).to_be_visible()
    await expect(page.announcements).to_have_text("Feedback is here: score 4 of 5.")


async def test_failed_feedback_says_why_and_what_to_do(page: ChatPage, stub: StubChat) -> None:
    conversation_id = stub.add_conversation(("Question", "Answer"))
    error = {"code": "unreadable_result", "detail": "The writer's answer had no score."}
    stub.add_feedback(conversation_id, "failed", error=error)

    await page.open(stub.url, conversation_id)

    await expect(page.feedbacks).to_contain_text("The writer's answer had no score.")
    await expect(page.feedbacks).to_contain_text("Press Get feedback to ask again.")


async def test_feedbacks_are_listed_newest_first_and_all_followed(page: ChatPage, stub: StubChat) -> None:
    conversation_id = stub.add_conversation(("Question", "Answer"))
    feedbacks = [stub.add_feedback(conversation_id, state) for state in ("completed", "queued", "pending")]
    await page.open(stub.url, conversation_id)
    headlines = page.feedbacks.locator(".feedback__headline")
    await expect(headlines).to_have_text(["Waiting to be sent", "Waiting for the writer", "Feedback: 4 of 5"])

    stub.move_feedback(feedbacks[2], "cancelled")
    stub.move_feedback(feedbacks[1], "completed")

    await expect(headlines).to_have_text(["Cancelled", "Feedback: 4 of 5", "Feedback: 4 of 5"])


async def test_feedback_of_another_conversation_is_not_shown(page: ChatPage, stub: StubChat) -> None:
    stub.feedback_moves_by_itself = False
    stub.add_conversation(("Quiet one", "Answer"))
    await page.open(stub.url, stub.add_conversation(("Reviewed one", "Answer")))
    await page.feedback_button.click()
    await expect(page.feedbacks).to_have_count(1)

    await page.listed_as("Quiet one").click()
    await expect(page.feedbacks).to_have_count(0)
    (feedback,) = stub.feedbacks.values()
    stub.move_feedback(feedback, "completed")
    await expect(page.feedback_button).to_be_enabled()
    await expect(page.feedbacks).to_have_count(0)

    await page.listed_as("Reviewed one").click()
    await expect(page.feedbacks).to_have_attribute("data-state", "completed")


async def test_feedback_cannot_be_asked_for_before_there_is_an_answer(page: ChatPage, stub: StubChat) -> None:
    stub.hold_at = 4
    await page.open(stub.url)
    await expect(page.feedback_button).to_be_disabled()
    await expect(page.feedback_panel).to_contain_text("Ask the model something first.")

    await page.ask("Question")
    await expect(page.feedback_panel).to_contain_text("Once the answer is finished")
    stub.release()

    await expect(page.feedback_button).to_be_enabled()


async def test_feedback_that_moved_while_the_tab_was_hidden_shows_on_return(
    page: ChatPage, stub: StubChat
) -> None:
    conversation_id = stub.add_conversation(("Question", "Answer"))
    feedback = stub.add_feedback(conversation_id, "queued")
    await page.open(stub.url, conversation_id)
    await expect(page.feedbacks).to_have_attribute("data-state", "queued")

    await page.set_hidden(hidden=True)
    stub.move_feedback(feedback, "completed")
    await expect(page.feedbacks).to_have_attribute("data-state", "queued")
    await page.set_hidden(hidden=False)

    await expect(page.feedbacks).to_have_attribute("data-state", "completed")
