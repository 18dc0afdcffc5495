"""The feedback worker's use cases as its HTTP face has them, on a database of the test's and without loops of their own."""

from datetime import timedelta

from tandem_feedback.adapters.rubric_files import load_rubrics
from tandem_feedback.adapters.sql.dead_letter_box import SqlDeadLetterBox
from tandem_feedback.adapters.sql.evaluation import SqlEvaluationStore
from tandem_feedback.adapters.sql.store import SqlStore
from tandem_feedback.adapters.sql.webhook_queue import SqlWebhookQueue
from tandem_feedback.application.cancel_request import CancelRequest
from tandem_feedback.application.dead_letters import DeadLetters
from tandem_feedback.application.evaluation import Evaluation
from tandem_feedback.application.ports import Engine
from tandem_feedback.application.read_jobs import ReadJobs
from tandem_feedback.application.submit_requests import SubmitRequests
from tandem_feedback.bootstrap import Worker
from tandem_feedback.domain.webhooks import WebhookHosts
from tandem_messaging.database import Database
from tandem_messaging.tasks import BackgroundLoops


def a_worker(database: Database, engine: Engine) -> Worker:
    """Return what an app's `state.worker` has to be."""
    store = SqlStore(database)
    return Worker(
        store=store,
        engine=engine,
        loops=BackgroundLoops(),
        submit=SubmitRequests(
            store,
            WebhookHosts(["hooks.example.com"]),
            default_deadline=timedelta(days=1),
            on_committed=lambda: None,
        ),
        cancel=CancelRequest(store, on_committed=lambda: None),
        jobs=ReadJobs(store),
        dead_letters=DeadLetters(
            SqlDeadLetterBox(database), kept=timedelta(days=14), on_committed=lambda: None
        ),
        webhooks=SqlWebhookQueue(database),
        evaluation=Evaluation.of(SqlEvaluationStore(database), load_rubrics()),
    )
