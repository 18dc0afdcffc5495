"""The web page as a test uses it: found by what a person sees or hears, and the few things done again and again."""

from playwright.async_api import Locator, Page, expect


class ChatPage:
    def __init__(self, tab: Page) -> None:
        self.tab = tab
        self.address = ""
        self.box = tab.get_by_role("textbox", name="Message")
        self.send_button = tab.get_by_role("button", name="Send")
        self.stop_button = tab.get_by_role("button", name="Stop the answer")
        self.retry_button = tab.get_by_role("button", name="Retry")
        self.feedback_button = tab.get_by_role("button", name="Get feedback")
        # Exactly so: the link to an untitled conversation begins with the same words.
        self.new_link = tab.get_by_role("link", name="New conversation", exact=True)
        self.title = tab.get_by_role("heading", level=1)
        self.thread = tab.get_by_role("list", name="Messages", exact=True)
        self.questions = self.thread.locator(".message--user .message__text")
        self.answers = self.thread.locator(".message--assistant .message__text")
        self.listed = tab.get_by_role("navigation", name="Conversations").locator(".conversation-link")
        self.feedback_panel = tab.get_by_role("complementary", name="Feedback")
        self.feedbacks = self.feedback_panel.locator(".feedback")
        self.problem = tab.locator("#composer-problem")
        self.banner = tab.locator("#banner")
        self.announcements = tab.locator("#announcements")

    async def open(self, url: str, conversation_id: str | None = None) -> None:
        self.address = url
        place = f"#/conversations/{conversation_id}" if conversation_id else ""
        await self.tab.goto(f"{url}/{place}")
        await expect(self.title).to_be_visible()

    async def ask(self, question: str) -> None:
        await self.box.fill(question)
        await self.box.press("Enter")

    async def ask_and_wait(self, question: str) -> str:
        """Returns the answer's text once it is complete."""
        asked = await self.questions.count()
        await self.ask(question)
        await expect(self.questions).to_have_count(asked + 1)
        await expect(self.answers).to_have_count(asked + 1)
        await self.wait_until_answered()
        return await self.answers.last.inner_text()

    async def wait_until_answered(self) -> None:
        await expect(self.thread.locator("[aria-busy=true]")).to_have_count(0)
        await expect(self.send_button).to_be_enabled()

    def listed_as(self, title: str) -> Locator:
        return self.listed.filter(has_text=title)

    async def cut_network(self) -> None:
        await self.tab.route("**/*", lambda route: route.abort("internetdisconnected"))

    async def mend_network(self) -> None:
        await self.tab.unroute_all()

    async def set_hidden(self, *, hidden: bool) -> None:
        """Makes the page believe that its tab went to the background, or came back."""
        await self.tab.evaluate(
            "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
            " document.dispatchEvent(new Event('visibilitychange')); }",
            hidden,
        )

    async def scrolls_sideways(self) -> bool:
        return bool(
            await self.tab.evaluate(
                "document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth"
            )
        )
