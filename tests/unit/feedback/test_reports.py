"""Reports for people: the figures as they are, and the model's words as words, whatever they hold."""

import asyncio
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tandem_feedback.adapters.sql.evaluation import SqlEvaluationStore
from tandem_feedback.application.compare_batch import ComparedConversation, Comparison, Side
from tandem_feedback.application.evaluation_port import HumanScore
from tandem_feedback.domain.agreement import agreement
from tandem_feedback.domain.job import JobState
from tandem_feedback.entrypoints import cli
from tandem_feedback.entrypoints.cli import main
from tandem_feedback.entrypoints.reports import comparison_report, html, markdown
from tandem_telemetry import Telemetry
from tests.support.feedback_bench import open_bench
from tests.support.feedback_builders import WHEN, a_completion, a_request

NASTY = "<script>alert(1)</script> | **bold** [x](http://x)\n# new"


def a_side(score: int | None, *, summary: str = "", state: JobState = JobState.DONE) -> Side:
    return Side(state, score, {}, summary, "" if score else "out of shape")


COMPARISON = Comparison(
    first_name="general v1",
    second_name="general v2",
    overall=agreement([(4, 4), (1, 5)]),
    criteria={},
    conversations=[
        ComparedConversation("c-1", a_side(4), a_side(4)),
        ComparedConversation("c-2", a_side(1), a_side(5, summary=NASTY)),
        ComparedConversation("c-3", a_side(3), a_side(None, state=JobState.FAILED)),
    ],
)


def test_largest_differences_come_first_and_missing_judgements_are_told() -> None:
    lines = [line for line in markdown(comparison_report(COMPARISON)).splitlines() if line.startswith("| c-")]
    assert [line.split(" | ")[:4] for line in lines] == [
        ["| c-2", "1", "5", "+4"],
        ["| c-1", "4", "4", "+0"],
        ["| c-3", "3", "failed", "-"],
    ]
    assert "out of shape" in lines[2]


def test_words_of_the_model_are_no_markup() -> None:
    in_markdown = markdown(comparison_report(COMPARISON))
    (line,) = [line for line in in_markdown.splitlines() if line.startswith("| c-2")]
    assert r"&lt;script&gt;alert(1)&lt;/script&gt; \| \*\*bold\*\* \[x\](http://x) # new" in line
    page = html(comparison_report(COMPARISON))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | **bold**" in page


@pytest.fixture
def _stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three conversations with a result and a human score each."""
    url = f"sqlite+aiosqlite:///{tmp_path}/feedback.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TANDEM_FEEDBACK_DATABASE_URL", url)
    monkeypatch.setattr(cli, "configure_telemetry", lambda _: Telemetry(TracerProvider()))

    async def store() -> None:
        async with open_bench(url) as bench:
            for name, model, human in (("c-1", 4, 5), ("c-2", 2, 2), ("c-3", 3, 2)):
                request = a_request(conversation_id=name)
                await bench.accept(request)
                claim = await bench.claim(request)
                async with bench.store.write() as transaction:
                    await transaction.finish(claim, a_completion(request, score=model))
                async with SqlEvaluationStore(bench.database).write() as evaluation:
                    await evaluation.put_human_score(HumanScore(name, "kim", human, "", WHEN))

    asyncio.run(store())


@pytest.mark.usefixtures("_stored")
def test_agreement_is_reported_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agreement"]) == 0
    row = "| general v1 | smollm2-135m-instruct | 3 | 3 | 3.00 | 3.00 | +0.00 | 33% | 100% | 0.750 |"
    assert row in capsys.readouterr().out
    assert main(["agreement", "--rubric", "poetry"]) == 0
    assert "No conversation has both" in capsys.readouterr().out
    assert main(["agreement", "--format", "html", "--out", "report.html"]) == 0
    assert "<td>0.750</td>" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("_stored")
def test_what_cannot_be_reported_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comparison", "unknown"]) == 1
    assert "batch unknown: not found" in capsys.readouterr().err
    assert main(["agreement", "--out", "no/such/folder/report.md"]) == 1
    assert "--out: expected a file that can be written" in capsys.readouterr().err


@pytest.mark.usefixtures("_stored")
def test_rubrics_are_listed_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rubrics"]) == 0
    assert "interview-practice-ko v1  ko  map_reduce  면접 연습" in capsys.readouterr().out
