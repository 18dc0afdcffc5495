"""Takes requests that come over HTTP: stored together with the event that brings them to a worker, like anybody's."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from tandem_contracts.envelope import MAX_DATA_BYTES
from tandem_contracts.feedback import FeedbackRequestedV1
from tandem_feedback.application.jobs_port import Store, Transaction
from tandem_feedback.domain.errors import RequestMismatchError, RequestTooLargeError, WebhookRefusedError
from tandem_feedback.domain.job import Job
from tandem_feedback.domain.webhooks import WebhookHosts

Submitted: TypeAlias = Job | RequestMismatchError | RequestTooLargeError | WebhookRefusedError


class SubmitRequests:
    """The use case of whoever asks over HTTP. The same request twice is one job, and gets the same answer."""

    def __init__(
        self,
        store: Store,
        hosts: WebhookHosts,
        *,
        default_deadline: timedelta,
        on_committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._default_deadline = default_deadline
        self._on_committed = on_committed

    async def submit(self, request: FeedbackRequestedV1) -> Job:
        """Return the request's job once it is stored.

        Raises RequestMismatchError, RequestTooLargeError, WebhookRefusedError.
        """
        (result,) = await self.submit_many([request])
        if isinstance(result, Job):
            return result
        raise result

    async def submit_many(self, requests: Sequence[FeedbackRequestedV1]) -> list[Submitted]:
        """Store all in one transaction; the answers are in the requests' order, and a refused one stops no other."""
        async with self._store.write() as transaction:
            results = [await self._submit(transaction, request) for request in requests]
        self._on_committed()
        return results

    async def _submit(self, transaction: Transaction, request: FeedbackRequestedV1) -> Submitted:
        try:
            self._require_sendable(request)
            accepted = await transaction.accept(request, default_deadline=self._default_deadline)
        except (RequestMismatchError, RequestTooLargeError, WebhookRefusedError) as refusal:
            return refusal
        if accepted.is_new and not accepted.job.state.is_final:
            await transaction.send_to_workers(request)
        return accepted.job

    def _require_sendable(self, request: FeedbackRequestedV1) -> None:
        size = len(request.model_dump_json().encode())
        if size > MAX_DATA_BYTES:
            raise RequestTooLargeError(
                f"request {request.request_id}: expected at most {MAX_DATA_BYTES} bytes as an event, got {size}; "
                "send a shorter transcript"
            )
        if request.webhook_url is not None:
            self._hosts.require_listed(request.webhook_url)
