"""Dead letters are kept once, found by their reason, mended, sent again without going round in circles, and purged."""

import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import select

from tandem_contracts.envelope import UnreadableEventError
from tandem_feedback.adapters.dead_letters import DeadLetterSender, death_of
from tandem_feedback.adapters.sql.tables import outbox
from tandem_feedback.domain.errors import RequestMismatchError, TooManyAttemptsError
from tandem_feedback.domain.job import JobState
from tandem_feedback.domain.outcomes import failed
from tandem_feedback.entrypoints import cli
from tandem_feedback.entrypoints.cli import main
from tandem_feedback.entrypoints.http.app import create_app
from tandem_feedback.settings import FeedbackSettings
from tandem_messaging.ports import OutgoingMessage, ReceivedMessage
from tandem_telemetry import Telemetry
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import FeedbackBench, open_bench
from tests.support.feedback_builders import a_message, a_request
from tests.support.feedback_face import a_worker


class Cemetery:
    """Feedback's HTTP face, and a way for messages to die as the worker lets them."""

    def __init__(self, bench: FeedbackBench, url: str) -> None:
        self.bench, self.url = bench, url
        app = create_app(FeedbackSettings(_env_file=None))
        app.state.worker = self.worker = a_worker(bench.database, FakeEngine())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://feedback")
        self.deaths = 0

    async def die(
        self, data: bytes, error: Exception, *, message_id: str | None = None, **attributes: str
    ) -> None:
        self.deaths += 1
        message_id = message_id or f"message-{self.deaths}"
        named = {name.replace("_", "-"): text for name, text in attributes.items()}
        sent: list[OutgoingMessage] = []

        class Topic:
            async def publish(self, _: str, messages: Any) -> None:
                sent.extend(messages)

        message = ReceivedMessage(data, named, message_id, "ack", delivery_attempt=2)
        await DeadLetterSender(Topic()).send(message, error)
        await self.bring(ReceivedMessage(sent[0].data, sent[0].attributes, f"dead-{self.deaths}", "ack"))

    async def bring(self, message: ReceivedMessage) -> None:
        await self.worker.dead_letters.keep(death_of(message))

    async def letters(self, **params: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.http.get("/v1/dead-letters", params=params)).json()["items"]
        return items

    async def sent_again(self) -> list[Any]:
        async with self.bench.database.read() as session:
            return list((await session.execute(select(outbox).order_by(outbox.c.id))).all())

    async def die_again(self, sent: Any, error: Exception) -> None:
        """Let what was sent again come to the worker, and die there."""
        named = {name.replace("-", "_"): text for name, text in json.loads(sent.attributes).items()}
        await self.die(sent.data, error, **named)


@pytest.fixture
async def cemetery(tmp_path: Path) -> AsyncIterator[Cemetery]:
    url = f"sqlite+aiosqlite:///{tmp_path}/feedback.db"
    async with open_bench(url) as bench:
        cemetery = Cemetery(bench, url)
        async with cemetery.http:
            yield cemetery


async def test_letter_tells_what_came_why_it_died_and_where_from(cemetery: Cemetery) -> None:
    await cemetery.die(
        b'{"request_id": "r-1"}', UnreadableEventError("data: no"), ce_source="/strangers", ce_type="x"
    )
    (letter,) = await cemetery.letters()
    told = (letter["code"], letter["reason"], letter["origin"], letter["request_id"], letter["attempts"])
    assert told == ("unreadable", "data: no", "/strangers", "r-1", 2)
    assert (letter["state"], letter["data"]) == ("dead", '{"request_id": "r-1"}')
    assert letter["attributes"] == {"ce-source": "/strangers", "ce-type": "x"}


async def test_same_death_told_twice_is_one_letter(cemetery: Cemetery) -> None:
    for _ in range(2):
        await cemetery.die(b"x", UnreadableEventError("bad"), message_id="m-1")
    assert len(await cemetery.letters()) == 1


async def test_letter_of_pubsub_itself_is_kept_with_its_count(cemetery: Cemetery) -> None:
    told = {"CloudPubSubDeadLetterSourceDeliveryCount": "100", "CloudPubSubDeadLetterSourceSubscription": "s"}
    await cemetery.bring(ReceivedMessage(b"\xff\x00", told, "m-9", "ack"))
    await cemetery.bring(ReceivedMessage(b"", {}, "m-10", "ack"))
    by_code = {letter["code"]: letter for letter in await cemetery.letters()}
    assert (by_code["delivery_limit"]["attempts"], by_code["delivery_limit"]["data_is_text"]) == (100, False)
    assert by_code["unknown"]["reason"].startswith("published to the dead-letter topic")


async def test_letters_are_found_by_their_reason(cemetery: Cemetery) -> None:
    for number in range(5):
        await cemetery.die(b"%d" % number, UnreadableEventError("bad"))
    await cemetery.die(b"other", RequestMismatchError("another body"))
    assert [letter["data"] for letter in await cemetery.letters(code="request_mismatch")] == ["other"]
    page = (await cemetery.http.get("/v1/dead-letters", params={"code": "unreadable", "limit": 3})).json()
    rest = await cemetery.letters(code="unreadable", limit=3, cursor=page["next_cursor"])
    assert sorted(one["data"] for one in [*page["items"], *rest]) == ["0", "1", "2", "3", "4"]


async def test_mended_letter_is_sent_again_as_it_is_now(cemetery: Cemetery) -> None:
    await cemetery.die(
        b"broken", UnreadableEventError("bad"), ce_type="feedback.requested.v9", ce_subject="c"
    )
    (letter,) = await cemetery.letters()
    good = a_message()
    edit = {"data": good.data.decode(), "attributes": dict(good.attributes)}
    edited = await cemetery.http.patch(f"/v1/dead-letters/{letter['id']}", json=edit)
    assert edited.json()["edited_at"]
    replayed = await cemetery.http.post(f"/v1/dead-letters/{letter['id']}/replay")
    assert (replayed.status_code, replayed.json()["state"]) == (202, "replayed")
    (sent,) = await cemetery.sent_again()
    marks = {"tandem-replay-of": letter["id"], "tandem-replays": "1"}
    assert (sent.topic, sent.data) == ("feedback-requests", good.data)
    assert json.loads(sent.attributes) == {**good.attributes, **marks}


async def test_replayed_letter_that_dies_again_is_marked_and_left_out_unless_asked_for(
    cemetery: Cemetery,
) -> None:
    for data in (b"first", b"second"):
        await cemetery.die(data, UnreadableEventError("bad"))
    assert (await cemetery.http.post("/v1/dead-letters/replay")).json() == {"letters": 2}
    first = next(sent for sent in await cemetery.sent_again() if sent.data == b"first")
    await cemetery.die_again(first, UnreadableEventError("still bad"))
    again = await cemetery.letters(state="died_again")
    assert [(one["data"], one["reason"], one["replays"]) for one in again] == [("first", "still bad", 1)]
    assert len(await cemetery.letters()) == 2

    assert (await cemetery.http.post("/v1/dead-letters/replay", json={})).json() == {"letters": 0}
    asked = await cemetery.http.post("/v1/dead-letters/replay", json={"again": True, "code": "unreadable"})
    assert asked.json() == {"letters": 1}
    assert json.loads((await cemetery.sent_again())[-1].attributes)["tandem-replays"] == "2"


async def test_many_are_replayed_when_there_are_more_than_one_transaction_takes(cemetery: Cemetery) -> None:
    for number in range(230):
        await cemetery.die(b"%d" % number, UnreadableEventError("bad"))
    assert (await cemetery.http.post("/v1/dead-letters/replay")).json() == {"letters": 230}
    assert len({sent.data for sent in await cemetery.sent_again()}) == 230


async def test_job_that_failed_too_often_is_tried_anew_when_its_letter_is_replayed(
    cemetery: Cemetery,
) -> None:
    request = a_request()
    await cemetery.bench.accept(request)
    async with cemetery.bench.store.write() as transaction:
        await transaction.end(failed(request, "too_many_attempts", "crashed", 5))
    message = a_message(request)
    await cemetery.die(message.data, TooManyAttemptsError("crashed"), ce_type="feedback.requested.v1")
    await cemetery.http.post("/v1/dead-letters/replay")
    job = await cemetery.bench.job(request)
    assert (job.state, job.attempts, job.outcome) == (JobState.QUEUED, 0, None)
    assert await cemetery.bench.history(request) == ["queued", "failed", "queued"]
    assert (await cemetery.bench.claim(request)).attempts == 1


async def test_letters_are_purged_one_by_one_by_reason_and_by_age(cemetery: Cemetery) -> None:
    for data in (b"a", b"b"):
        await cemetery.die(data, UnreadableEventError("bad"))
    await cemetery.die(b"c", RequestMismatchError("another body"))
    first = (await cemetery.letters())[0]["id"]
    assert (await cemetery.http.delete(f"/v1/dead-letters/{first}")).status_code == 204
    assert (await cemetery.http.get(f"/v1/dead-letters/{first}")).status_code == 404
    old = {"older_than_days": 1}
    assert (await cemetery.http.post("/v1/dead-letters/purge", json=old)).json() == {"letters": 0}
    of_reason = {"code": "unreadable"}
    assert (await cemetery.http.post("/v1/dead-letters/purge", json=of_reason)).json() == {"letters": 2}
    assert await cemetery.letters() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/replay")],
)
async def test_letter_that_is_not_there_is_told_as_such(cemetery: Cemetery, method: str, path: str) -> None:
    answer = await cemetery.http.request(method, f"/v1/dead-letters/none{path}", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (404, "dead_letter_not_found")


@pytest.fixture
def dlq(
    cemetery: Cemetery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str]]:
    """Run `tandem-feedback dlq` on the same database; outside of this test's event loop, as a terminal would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TANDEM_FEEDBACK_DATABASE_URL", cemetery.url)
    monkeypatch.setattr(cli, "configure_telemetry", lambda _: Telemetry(TracerProvider()))

    def run(*arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), ThreadPoolExecutor(1) as pool:
            code = pool.submit(main, ["dlq", *arguments]).result()
        return code, out.getvalue()

    return run


async def test_command_line_lists_shows_mends_replays_and_purges(
    cemetery: Cemetery, dlq: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    await cemetery.die(b"broken", UnreadableEventError("data: no JSON"))
    await cemetery.die(b"other", RequestMismatchError("another body"))
    (letter_id,) = [one["id"] for one in await cemetery.letters(code="unreadable")]
    code, listed = dlq("list", "--reason", "unreadable")
    assert (code, len(listed.splitlines())) == (0, 1)
    assert letter_id in listed
    assert "data: no JSON" in listed
    assert json.loads(dlq("show", letter_id)[1])["data"] == "broken"
    (tmp_path / "mended.json").write_text("mended")
    edited = dlq("edit", letter_id, "--data", str(tmp_path / "mended.json"), "--set", "ce-type=x")
    assert json.loads(edited[1])["attributes"] == {"ce-type": "x"}
    assert dlq("replay", letter_id) == (0, "1 replayed\n")
    assert [sent.data for sent in await cemetery.sent_again()] == [b"mended"]
    assert dlq("replay", "--all", "--reason", "unreadable") == (0, "0 replayed\n")
    assert dlq("purge", letter_id) == (0, "1 purged\n")
    assert dlq("purge", "--all") == (0, "1 purged\n")
    assert dlq("list") == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "none"], "not found"),
        (["replay"], "expected ids, or --all"),
        (["purge", "x", "--all"], "expected ids, or --all"),
        (["replay", "none"], "not found"),
    ],
)
async def test_command_that_cannot_be_done_is_explained(
    dlq: Callable[..., tuple[int, str]], arguments: list[str], told: str
) -> None:
    code, output = dlq(*arguments)
    assert (code, output.startswith("tandem-feedback: ")) == (1, True)
    assert told in output


async def test_letters_are_kept_for_their_time_and_no_longer(cemetery: Cemetery) -> None:
    await cemetery.die(b"x", UnreadableEventError("bad"))
    letters = cemetery.worker.dead_letters
    for kept, left in ((timedelta(days=14), 1), (timedelta(0), 0)):
        letters._kept = kept
        await letters.forget_old()
        assert len(await cemetery.letters()) == left
