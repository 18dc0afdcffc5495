"""The planner's page in a real browser: it draws every term, goes red past the edge, and gives the command to copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tandem_inference.planner.http.standalone import create_app
from tests.support.ports import free_port

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 15
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    complaints: list[str] = []
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(address)
    expect(opened.locator("#verdict")).to_contain_text("Fits")
    yield opened
    opened.close()
    assert [text for text in complaints if "400 (Bad Request)" not in text] == []


def test_the_page_shows_terms_flags_and_stays_within_a_phones_width(page: Page) -> None:
    expect(page.locator("#bar span")).not_to_have_count(0)
    expect(page.locator("pre")).to_contain_text(
        "vllm serve Qwen/Qwen2.5-7B-Instruct --gpu-memory-utilization"
    )
    expect(page.locator("table")).to_contain_text("KV cache")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dragging_a_slider_changes_the_plan(page: Page) -> None:
    before = page.locator("#legend").inner_text()
    page.locator("[name=max_num_seqs]").fill("400")
    expect(page.locator("#legend")).not_to_have_text(before)


def test_too_much_is_red_past_the_edge_and_says_what_would_fit(page: Page) -> None:
    page.locator("#add").click()
    page.locator("#add").click()
    expect(page.locator("#verdict")).to_contain_text("Does not fit")
    expect(page.locator("#bar .over")).to_be_attached()
    expect(page.locator("#suggestions li")).not_to_have_count(0)


def test_a_wrong_model_is_explained_and_mended(page: Page) -> None:
    page.locator("[name=model]").fill("gpt-4")
    expect(page.locator("#verdict")).to_contain_text("not published")
    page.locator("[name=model]").fill("Qwen/Qwen3-4B")
    expect(page.locator("#verdict")).to_contain_text("Fits")
