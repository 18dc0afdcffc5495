"""How the page reads: contrast, names for screen readers, the small formatting, the reader's place in a growing answer."""

from typing import Literal

import pytest
from playwright.async_api import expect

from tests.e2e.web_page.chat_page import ChatPage
from tests.support.stub_chat import StubChat

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.stub_chat]

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

# WCAG 2.2, "contrast ratio" and "relative luminance".
FIND_FAINT_TEXT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const backgrounds = (node) => node
    ? [...backgrounds(node.parentElement), getComputedStyle(node).backgroundColor] : [];
  const faint = [];
  for (const node of document.querySelectorAll("body *")) {
    const owns = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!owns || !node.checkVisibility({ opacityProperty: true }) || node.closest("button:disabled")) continue;
    const behind = backgrounds(node);
    const [a, b] = [luminance(paint(behind)), luminance(paint([...behind, getComputedStyle(node).color]))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${node.className || node.tagName}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""

FIND_NAMELESS_CONTROLS = """() => [...document.querySelectorAll("a, button, textarea, summary, dialog, nav, aside")]
  .filter((node) => {
    const ids = node.getAttribute("aria-labelledby")?.split(" ") ?? [];
    const named = node.getAttribute("aria-label") || ids.map((id) => document.getElementById(id).textContent).join("")
      || [...(node.labels ?? [])].map((label) => label.textContent).join("") || node.textContent.trim();
    return !named;
  }).map((node) => node.outerHTML)"""


async def show_everything(page: ChatPage, stub: StubChat) -> None:
    conversation_id = stub.add_conversation(("Question", "Text with `code`\n\n```\nblock\n```\n\n1. item"))
    error = {"code": "unreadable_result", "detail": "The writer's answer had no score."}
    stub.add_feedback(conversation_id, "failed", error=error)
    stub.add_feedback(conversation_id, "queued")
    stub.add_feedback(conversation_id, "completed")
    stub.reply_outcome = "failed"
    await page.open(stub.url, conversation_id)
    await page.ask("Question two")
    await expect(page.retry_button).to_be_visible()
    stub.engine_ready = False
    await page.ask("Question three")
    await expect(page.problem).to_be_visible()
    await expect(page.banner).to_be_visible()
    await page.tab.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")


async def test_text_stands_out_and_controls_have_names_in_every_state(page: ChatPage, stub: StubChat) -> None:
    await show_everything(page, stub)

    assert await page.tab.evaluate(FIND_NAMELESS_CONTROLS) == []
    for scheme in SCHEMES:
        await page.tab.emulate_media(color_scheme=scheme)
        assert await page.tab.evaluate(FIND_FAINT_TEXT) == [], scheme


async def test_tab_key_visits_the_page_in_reading_order(page: ChatPage, stub: StubChat) -> None:
    await page.open(stub.url, stub.add_conversation(("Question", "Answer")))
    await expect(page.feedback_button).to_be_enabled()
    focused = "document.activeElement.getAttribute('aria-label') || document.activeElement.id"
    skip_link = page.tab.get_by_role("link", name="Skip to the message box")
    await skip_link.focus()
    visited = []
    for _ in range(6):
        await page.tab.keyboard.press("Tab")
        visited.append(await page.tab.evaluate(f"{focused} || document.activeElement.className"))

    assert visited == [
        "new-conversation",
        "conversation-link",
        "Delete conversation: Question",
        "get-feedback",
        "message",
        "Send",
    ]
    await skip_link.press("Enter")
    await expect(page.box).to_be_focused()
    await expect(page.answers).to_have_text(["Answer"])


async def test_lists_code_and_paragraphs_look_the_same_streamed_and_loaded(
    page: ChatPage, stub: StubChat
) -> None:
    text = (
        "Intro with **bold** and `code`.\nSame paragraph.\n\n1. one\n\n2. two **b**\n* point\n"
        "```python\nif a < b:\n\n    `x`\n```\n# Heading\nEnd ``"
    )
    stub.answer = text
    stub.piece_length = 1
    await page.open(stub.url)
    await page.ask_and_wait("Show all")
    streamed = await page.answers.last.inner_html()
    await expect(page.answers.locator("ol li")).to_have_text(["one", "two b"])
    await expect(page.answers.locator("pre")).to_have_text("if a < b:\n\n    `x`\n")
    await expect(page.answers.locator("strong")).to_have_text(["bold", "b", "Heading"])
    await expect(page.answers.locator("p").last).to_have_text("End ``")

    await page.tab.reload()
    await expect(page.answers).to_have_count(1)

    assert await page.answers.last.inner_html() == streamed


async def test_reader_who_scrolled_up_stays_there_while_the_answer_grows(
    page: ChatPage, stub: StubChat
) -> None:
    stub.answer = "\n\n".join(f"Paragraph {number}" for number in range(80))
    stub.piece_length, stub.hold_at = 40, 600
    await page.open(stub.url)
    await page.ask("Write a lot")
    await expect(page.answers.get_by_text("Paragraph 40")).to_be_in_viewport()

    await page.answers.hover()
    await page.tab.mouse.wheel(0, -4000)
    await expect(page.answers.get_by_text("Paragraph 0", exact=True)).to_be_in_viewport()
    stub.release()
    await page.wait_until_answered()
    await expect(page.answers.get_by_text("Paragraph 0", exact=True)).to_be_in_viewport()

    await page.tab.get_by_role("button", name="Latest").click()
    await expect(page.answers.get_by_text("Paragraph 79")).to_be_in_viewport()
