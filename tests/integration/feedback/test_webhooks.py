"""Webhooks reach only hosts that the operator listed, at public addresses, signed, once, and with a log of every attempt."""

import hmac
import json
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import update

from tandem_feedback.adapters import webhooks as adapter
from tandem_feedback.adapters.sql.tables import webhook_deliveries
from tandem_feedback.adapters.sql.webhook_queue import SqlWebhookQueue
from tandem_feedback.adapters.webhooks import HttpsWebhookSender, is_public, public_addresses
from tandem_feedback.application.deliver_webhooks import DeliverWebhooks
from tandem_feedback.domain.errors import WebhookRefusedError
from tandem_feedback.domain.webhooks import MAX_ATTEMPTS, LoggedDelivery, WebhookHosts
from tandem_messaging.database import database_now
from tests.support.feedback_bench import FeedbackBench
from tests.support.feedback_builders import a_completion, a_request
from tests.support.https_receiver import NAME, HttpsReceiver, https_receiver

SECRET = "a-secret-of-the-tests"


@pytest.fixture(scope="module")
def receiver_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsReceiver]:
    with https_receiver(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture
def receiver(receiver_process: HttpsReceiver) -> HttpsReceiver:
    receiver_process.calls.clear()
    receiver_process.statuses.clear()
    receiver_process.answer_body = b""
    return receiver_process


@dataclass
class Post:
    """Webhook delivery against the local receiver; the resolver is the seam that lets it reach loopback."""

    bench: FeedbackBench
    receiver: HttpsReceiver
    sender: HttpsWebhookSender
    queue: SqlWebhookQueue
    deliver: DeliverWebhooks

    def url(self, path: str = "/hook?x=1") -> str:
        return f"https://{NAME}:{self.receiver.port}{path}"

    async def finish_one(self, url: str | None) -> str:
        """Bring a request with a webhook to its outcome."""
        request = a_request(webhook_url=url)
        await self.bench.accept(request)
        claim = await self.bench.claim(request)
        async with self.bench.store.write() as transaction:
            assert await transaction.finish(claim, a_completion(request, summary="좋아요"))
        return request.request_id

    async def make_due(self) -> None:
        async with self.bench.database.write() as session:
            now = await database_now(session)
            await session.execute(update(webhook_deliveries).values(due_at=now - timedelta(seconds=1)))

    async def log(self, request_id: str) -> LoggedDelivery:
        (logged,) = await self.queue.log(request_id)
        return logged


async def _loopback(_: str, __: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
async def post(bench: FeedbackBench, receiver: HttpsReceiver) -> AsyncIterator[Post]:
    sender = HttpsWebhookSender(SECRET, resolve=_loopback, trust=receiver.trust)
    queue = SqlWebhookQueue(bench.database)
    hosts = WebhookHosts([f"{NAME}:{receiver.port}"])
    yield Post(bench, receiver, sender, queue, DeliverWebhooks(queue, sender, hosts))
    await sender.close()


async def test_outcome_is_delivered_once_signed_and_logged(post: Post) -> None:
    request_id = await post.finish_one(post.url())
    await post.finish_one(None)
    assert [await post.deliver.deliver_due(), await post.deliver.deliver_due()] == [1, 0]
    (call,) = post.receiver.calls
    assert call.path == "/hook?x=1"
    assert call.headers["host"] == f"{NAME}:{post.receiver.port}"
    assert json.loads(call.body)["result"]["summary"] == "좋아요"
    assert call.headers["tandem-event"] == "feedback.completed.v1"
    signed = call.headers["tandem-timestamp"].encode() + b"." + call.body
    expected = hmac.new(SECRET.encode(), signed, "sha256").hexdigest()
    assert call.headers["tandem-signature"] == f"v1={expected}"
    logged = await post.log(request_id)
    assert (logged.delivery.state, [one.answer.status for one in logged.attempts]) == ("delivered", [200])


async def test_failed_attempt_is_repeated_later_and_not_at_once(post: Post) -> None:
    post.receiver.statuses += [500, 302]
    request_id = await post.finish_one(post.url())
    for _ in range(3):
        await post.deliver.deliver_due()
        assert await post.deliver.deliver_due() == 0
        await post.make_due()
    logged = await post.log(request_id)
    assert [one.answer.status for one in logged.attempts] == [500, 302, 200]
    assert "redirects are not followed" in logged.attempts[1].answer.detail
    assert len({call.headers["tandem-delivery"] for call in post.receiver.calls}) == 1


async def test_delivery_is_given_up_when_every_attempt_failed_or_the_address_is_gone(post: Post) -> None:
    post.receiver.statuses += [503] * MAX_ATTEMPTS + [410]
    request_id = await post.finish_one(post.url())
    for _ in range(MAX_ATTEMPTS + 2):
        await post.deliver.deliver_due()
        await post.make_due()
    logged = await post.log(request_id)
    assert (logged.delivery.state, len(logged.attempts)) == ("failed", MAX_ATTEMPTS)
    gone = await post.finish_one(post.url())
    await post.deliver.deliver_due()
    assert (await post.log(gone)).delivery.state == "failed"


async def test_answer_that_is_too_large_is_no_success(post: Post) -> None:
    post.receiver.answer_body = b"x" * 200_000
    request_id = await post.finish_one(post.url())
    await post.deliver.deliver_due()
    assert "more than 65536 bytes" in (await post.log(request_id)).attempts[0].answer.detail


async def test_host_that_is_not_listed_is_never_called(post: Post) -> None:
    request_id = await post.finish_one("https://localhost/hook")
    await post.deliver.deliver_due()
    logged = await post.log(request_id)
    assert (logged.delivery.state, post.receiver.calls) == ("refused", [])
    assert "localhost:443 is not among the hosts" in logged.attempts[0].answer.detail


async def test_listed_host_with_a_private_address_is_never_called(post: Post) -> None:
    sender = HttpsWebhookSender(SECRET, trust=post.receiver.trust)
    deliver = DeliverWebhooks(post.queue, sender, WebhookHosts([f"localhost:{post.receiver.port}"]))
    request_id = await post.finish_one(f"https://localhost:{post.receiver.port}/hook")
    await deliver.deliver_due()
    await sender.close()
    assert (await post.log(request_id)).delivery.state == "refused"
    assert post.receiver.calls == []


async def test_certificate_of_another_name_is_no_delivery(post: Post) -> None:
    port = post.receiver.port
    other = DeliverWebhooks(post.queue, post.sender, WebhookHosts([f"other.example:{port}"]))
    request_id = await post.finish_one(f"https://other.example:{port}/hook")
    await other.deliver_due()
    logged = await post.log(request_id)
    assert (logged.delivery.state, post.receiver.calls) == ("pending", [])
    assert "certificate" in logged.attempts[0].answer.detail.lower()


async def test_receiver_that_never_answers_is_left_after_a_while(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_WHOLE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        deliver = DeliverWebhooks(post.queue, post.sender, WebhookHosts([f"{NAME}:{port}"]))
        request_id = await post.finish_one(f"https://{NAME}:{port}/hook")
        await deliver.deliver_due()
    assert "no whole answer" in (await post.log(request_id)).attempts[0].answer.detail


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::", "nonsense",
    ],
)  # fmt: skip
def test_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1"])
async def test_name_that_leads_inside_is_refused_however_it_is_written(host: str) -> None:
    with suppress(socket.gaierror), pytest.raises(WebhookRefusedError, match="no public address"):
        await public_addresses(host, 443)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/", "https://", "https://a.example:99999/", "https://user@a.example/",
        "https://a.example@b.example/", "https://b.example/", "https://a.example:8443/", "https://[::1/", "ftp://a.example/",
    ],
)  # fmt: skip
def test_url_that_is_not_listed_or_no_plain_https_is_refused(url: str) -> None:
    with pytest.raises(WebhookRefusedError, match="webhook_url"):
        WebhookHosts(["a.example"]).require_listed(url)


def test_listed_host_may_be_written_in_any_case() -> None:
    assert WebhookHosts(["A.example", "b.example:8443"]).require_listed("https://a.EXAMPLE/x") == (
        "a.example",
        443,
    )
    assert WebhookHosts([" b.example:8443".strip()]).require_listed("https://b.example:8443/")[1] == 8443
