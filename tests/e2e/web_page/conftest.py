"""A browser, a page in it that tolerates no script error, and the chat service that the page is tried against.

The tests that only use `chat_url` hold for every working chat service: they run against the one in memory and against the
real stack with its real model. Those marked `stub_chat` set the behaviour of the one in memory.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Error, Request, async_playwright, expect

from tests.e2e.web_page.chat_page import ChatPage
from tests.support.stack import Stack
from tests.support.stub_chat import StubChat
from tests.support.stub_chat_app import serve

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STUB_PATIENCE_S = 15
REAL_PATIENCE_S = 120


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "stub_chat: needs the chat service in memory, whose behaviour the test sets."
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        try:
            launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        except Error as error:
            pytest.fail(f"{CHROMIUM} did not start; Debian's package chromium was expected. {error.message}")
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stub() -> AsyncIterator[StubChat]:
    chat = StubChat()
    async with serve(chat) as chat.url:
        yield chat


@pytest_asyncio.fixture(loop_scope="session", params=["chat in memory", "real stack"])
async def chat_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "real stack":
        stack: Stack = request.getfixturevalue("stack")
        stack.wait_ready("chat")
        expect.set_options(timeout=REAL_PATIENCE_S * 1000)
        yield stack.chat_url
        return
    async with serve(StubChat()) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[ChatPage]:
    expect.set_options(timeout=STUB_PATIENCE_S * 1000)
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(STUB_PATIENCE_S * 1000)
    opened = ChatPage(await context.new_page())
    complaints: list[str] = []

    def note_console(message: ConsoleMessage) -> None:
        # Chromium logs every 4xx and 5xx answer as an error; what the page makes of them is for the tests to say.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    def note_request(request: Request) -> None:
        if opened.address and not request.url.startswith(opened.address):
            complaints.append(f"request to {request.url}")

    opened.tab.on("console", note_console)
    opened.tab.on("pageerror", lambda error: complaints.append(str(error)))
    opened.tab.on("request", note_request)
    yield opened
    await context.close()
    assert complaints == []
