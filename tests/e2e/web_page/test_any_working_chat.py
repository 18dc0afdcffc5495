"""What the page must do with every working chat service, the one in memory and the real one alike."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.web_page.chat_page import ChatPage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_answer_appears_and_is_still_there_after_a_reload(page: ChatPage, chat_url: str) -> None:
    await page.open(chat_url)

    answer = await page.ask_and_wait("What is the capital of France?")

    assert answer.strip()
    await expect(page.title).to_have_text("What is the capital of France?")
    await page.tab.reload()
    await expect(page.questions).to_have_text(["What is the capital of France?"])
    await expect(page.answers).to_have_text([answer], use_inner_text=True)


async def test_two_conversations_keep_their_messages_apart(page: ChatPage, chat_url: str) -> None:
    await page.open(chat_url)
    await page.ask_and_wait("Say something about apples")
    await page.new_link.click()
    await expect(page.questions).to_have_count(0)
    await page.ask_and_wait("Say something about pears")

    await page.listed_as("Say something about apples").first.click()
    await expect(page.questions).to_have_text(["Say something about apples"])
    await page.listed_as("Say something about pears").first.click()

    await expect(page.questions).to_have_text(["Say something about pears"])


async def test_feedback_arrives_beside_the_conversation(page: ChatPage, chat_url: str) -> None:
    await page.open(chat_url)
    await page.ask_and_wait("What is two and two?")

    await page.feedback_button.click()

    await expect(page.feedbacks).to_have_count(1)
    await expect(page.feedbacks).to_have_attribute("data-state", "completed")
    await expect(page.feedbacks.get_by_role("img", name=re.compile(r"^Score: [1-5] of 5$"))).to_be_visible()
    await expect(page.feedbacks).to_contain_text(re.compile(r"Written by .+, rubric .+"))


async def test_everything_is_done_by_keyboard_alone(page: ChatPage, chat_url: str) -> None:
    await page.open(chat_url)
    keyboard = page.tab.keyboard

    await page.new_link.focus()
    await keyboard.press("Enter")
    await expect(page.box).to_be_focused()
    await keyboard.type("First line")
    await keyboard.press("Shift+Enter")
    await keyboard.type("second line")
    await keyboard.press("Enter")
    await expect(page.questions).to_have_text(["First line\nsecond line"], use_inner_text=True)
    await page.wait_until_answered()
    await expect(page.box).to_be_focused()
    await keyboard.press("Shift+Tab")
    while not await page.feedback_button.evaluate("node => node === document.activeElement"):
        await keyboard.press("Shift+Tab")
    await keyboard.press("Enter")

    await expect(page.feedbacks).to_have_count(1)
    await expect(page.feedback_button).to_be_focused()


async def test_phone_width_needs_no_sideways_scrolling(page: ChatPage, chat_url: str) -> None:
    await page.tab.set_viewport_size({"width": 360, "height": 740})
    await page.open(chat_url)
    await page.ask_and_wait(
        "한국어로 아주길고길고길고길고길고길고길고길고길고긴한단어를말해주세요 " + "unbreakable" * 12
    )
    await page.feedback_button.click()
    await expect(page.feedbacks).to_be_visible()
    await expect(page.feedbacks).to_be_in_viewport()

    assert not await page.scrolls_sideways()
    await page.tab.get_by_role("button", name="Conversations").click()
    await expect(page.listed.first).to_be_in_viewport()
    assert not await page.scrolls_sideways()


async def test_conversation_is_deleted_only_after_confirmation(page: ChatPage, chat_url: str) -> None:
    await page.open(chat_url)
    await page.ask_and_wait("Forget this soon")
    await expect(page.listed_as("Forget this soon").first).to_be_visible()
    listed = await page.listed_as("Forget this soon").count()
    delete = page.tab.get_by_role("button", name="Delete conversation: Forget this soon").first
    dialog = page.tab.get_by_role("dialog", name="Delete this conversation?")

    await delete.click()
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(page.listed_as("Forget this soon")).to_have_count(listed)
    await delete.click()
    await dialog.get_by_role("button", name="Delete").click()

    await expect(dialog).to_be_hidden()
    await expect(page.listed_as("Forget this soon")).to_have_count(listed - 1)
    await expect(page.questions).to_have_count(0)
    await page.tab.go_back()
    await expect(page.tab.get_by_text("This conversation does not exist")).to_be_visible()


async def test_unknown_conversation_says_what_to_do(page: ChatPage, chat_url: str) -> None:
    await page.open(chat_url, "no-such-conversation")

    await expect(page.tab.get_by_text("Choose another one, or start a new one.")).to_be_visible()
