"""The command line of evaluation: `tandem-feedback agreement`, `comparison` and `rubrics`, on the service's own database and files."""

import argparse
import asyncio
import sys
from pathlib import Path

from tandem_feedback.bootstrap import open_evaluation
from tandem_feedback.entrypoints.dlq import CommandError
from tandem_feedback.entrypoints.reports import FORMATS, Section, agreement_report, comparison_report
from tandem_feedback.settings import FeedbackSettings

REPORT_COMMANDS = ("agreement", "comparison", "rubrics")


def add_report_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add these commands to the service's command line."""
    agreement = commands.add_parser("agreement", help="report how far rubrics and models agree with people")
    agreement.add_argument("--rubric", metavar="ID", help="only this rubric")
    agreement.add_argument("--version", type=int, metavar="N", help="only this version of it")
    comparison = commands.add_parser("comparison", help="report how a batch's two sides differ")
    comparison.add_argument("batch_id")
    for report in (agreement, comparison):
        report.add_argument("--format", choices=sorted(FORMATS), default="markdown")
        report.add_argument(
            "--out", type=Path, metavar="FILE", help="file to write; standard output if absent"
        )
    commands.add_parser("rubrics", help="read all rubric files, and list the rubrics or tell what is wrong")


def run_report(settings: FeedbackSettings, arguments: argparse.Namespace) -> None:
    """Run one of the commands. Raises TandemError, RubricFileError or CommandError when it cannot be done."""
    if arguments.command == "rubrics":
        sys.stdout.write(asyncio.run(_rubrics(settings)))
        return
    text = FORMATS[arguments.format](asyncio.run(_sections(settings, arguments)))
    if arguments.out is None:
        sys.stdout.write(text)
        return
    try:
        arguments.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"--out: expected a file that can be written, got {arguments.out} ({error.strerror})"
        ) from error


async def _sections(settings: FeedbackSettings, arguments: argparse.Namespace) -> list[Section]:
    async with open_evaluation(settings) as evaluation:
        if arguments.command == "comparison":
            return comparison_report(await evaluation.comparison.compare(arguments.batch_id))
        return agreement_report(
            await evaluation.agreement.measure(rubric_id=arguments.rubric, version=arguments.version)
        )


async def _rubrics(settings: FeedbackSettings) -> str:
    async with open_evaluation(settings) as evaluation:
        lines = [
            f"{rubric.id} v{rubric.version}  {rubric.language or '-'}  {rubric.long_transcripts.value}  {rubric.title}"
            for rubric in evaluation.rubrics.all()
        ]
    return "\n".join(lines) + "\n"
