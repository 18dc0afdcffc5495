"""Writes agreement and comparisons as Markdown or as one HTML page, for people; the figures themselves are `application`'s."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from tandem_feedback.application.compare_batch import ComparedConversation, Comparison, Side
from tandem_feedback.application.measure_agreement import AgreementWithHumans
from tandem_feedback.domain.agreement import Agreement

_FIGURES = (
    "pairs",
    "mean of first",
    "mean of second",
    "difference",
    "same score",
    "within 1",
    "weighted kappa",
)
_READING = (
    "The difference is second minus first. Kappa has quadratic weights: 1 is perfect agreement, 0 is what chance alone would give; "
    "a hyphen means that it is not defined, because nothing varies."
)
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.3rem .6rem;text-align:left}"
)


@dataclass(frozen=True)
class Section:
    """A heading with sentences and at most one table, whose first row is its head."""

    heading: str
    sentences: Sequence[str]
    table: Sequence[Sequence[str]]


def agreement_report(measured: Sequence[AgreementWithHumans]) -> list[Section]:
    """Report how far rubrics and models agree with people: people's scores come first, the model's second."""
    if not measured:
        nothing = "No conversation has both a human score and a finished feedback yet."
        return [Section("Agreement with human scores", [nothing], [])]
    head = ("rubric", "model", "conversations", *_FIGURES)
    rows = [
        (f"{one.rubric.id} v{one.rubric.version}", one.model, str(one.conversations), *_figures(one.figures))
        for one in measured
    ]
    sentence = f"First are the scores that people gave, second the model's. {_READING}"
    return [Section("Agreement with human scores", [sentence], [head, *rows])]


def comparison_report(comparison: Comparison) -> list[Section]:
    """Report a comparison: its figures, then every conversation with the largest differences first."""
    names = f"First: {comparison.first_name}. Second: {comparison.second_name}."
    if comparison.overall is None:
        return [Section("Comparison", [names, "No conversation has been judged by both sides yet."], [])]
    figures = {"overall": comparison.overall, **comparison.criteria}
    rows = [(name, *_figures(found)) for name, found in figures.items()]
    ordered = sorted(comparison.conversations, key=lambda each: -abs(each.difference or 0))
    return [
        Section("Comparison", [names, _READING], [("score", *_FIGURES), *rows]),
        Section("Conversations", [], [_CONVERSATION_HEAD, *(_conversation(each) for each in ordered)]),
    ]


def markdown(sections: Sequence[Section]) -> str:
    """Write sections as Markdown."""
    blocks = []
    for section in sections:
        blocks += [f"# {section.heading}", *section.sentences]
        if section.table:
            head, *rows = [[_markdown_cell(cell) for cell in row] for row in section.table]
            lines = [head, ["---"] * len(head), *rows]
            blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(blocks) + "\n"


def html(sections: Sequence[Section]) -> str:
    """Write sections as an HTML page that loads nothing from elsewhere."""
    parts = []
    for section in sections:
        parts.append(f"<h1>{escape(section.heading)}</h1>")
        parts += [f"<p>{escape(sentence)}</p>" for sentence in section.sentences]
        if section.table:
            head, *rows = section.table
            lines = [_html_row(head, "th"), *(_html_row(row, "td") for row in rows)]
            parts.append(f"<table>{''.join(lines)}</table>")
    title = escape(sections[0].heading)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


FORMATS: dict[str, Callable[[Sequence[Section]], str]] = {"markdown": markdown, "html": html}

_CONVERSATION_HEAD = ("conversation", "first", "second", "difference", "first says", "second says")


def _conversation(each: ComparedConversation) -> tuple[str, ...]:
    difference = "-" if each.difference is None else f"{each.difference:+d}"
    scores = [_score(side) for side in (each.first, each.second)]
    texts = [side.summary or side.detail for side in (each.first, each.second)]
    return (each.conversation_id, *scores, difference, *texts)


def _score(side: Side) -> str:
    if side.score is not None:
        return str(side.score)
    return side.state.value if side.state else "none"


def _figures(found: Agreement) -> tuple[str, ...]:
    kappa = "-" if found.kappa is None else f"{found.kappa:.3f}"
    means = (f"{found.mean_first:.2f}", f"{found.mean_second:.2f}", f"{found.mean_difference:+.2f}")
    return (str(found.count), *means, f"{found.exact_share:.0%}", f"{found.within_one_share:.0%}", kappa)


def _markdown_cell(text: str) -> str:
    """Keep text of the model's from being read as markup."""
    plain = " ".join(escape(text, quote=False).split())
    return "".join(f"\\{character}" if character in "\\|`*_[]!" else character for character in plain)


def _html_row(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
