"""Where chat asks who calls, the page asks for a key first, uses it for everything, and forgets it on request."""

import pytest
from playwright.async_api import expect

from tests.e2e.web_page.chat_page import ChatPage
from tests.support.stub_chat import StubChat

pytestmark = [pytest.mark.stub_chat, pytest.mark.asyncio(loop_scope="session")]

KEY = "tandem_abc_correct"


async def sign_in(page: ChatPage, key: str) -> None:
    await page.tab.get_by_label("Key", exact=True).fill(key)
    await page.tab.get_by_role("button", name="Sign in").click()


async def test_page_asks_for_a_key_keeps_it_over_a_reload_and_forgets_it_on_request(
    page: ChatPage, stub: StubChat
) -> None:
    stub.key = KEY
    dialog = page.tab.get_by_role("dialog", name="Sign in")
    await page.open(stub.url)
    await expect(dialog).to_be_visible()
    await page.tab.keyboard.press("Escape")
    await expect(dialog).to_be_visible()

    await sign_in(page, "tandem_abc_wrong")
    await expect(dialog).to_contain_text("The API key is not known here.")
    await sign_in(page, KEY)
    await expect(dialog).to_be_hidden()
    await page.ask_and_wait("Hello?")

    await page.tab.reload()
    await expect(page.answers).to_have_count(1)
    await expect(dialog).to_be_hidden()
    assert KEY not in page.tab.url

    await page.tab.get_by_role("button", name="Sign out").click()
    await expect(dialog).to_be_visible()
    await expect(page.answers).to_have_count(0)


async def test_no_key_is_asked_for_where_everybody_may_use_chat(page: ChatPage, stub: StubChat) -> None:
    await page.open(stub.url)
    await page.ask_and_wait("Hello?")
    await expect(page.tab.get_by_role("dialog", name="Sign in")).to_be_hidden()
    await expect(page.tab.get_by_role("button", name="Sign out")).to_be_hidden()
