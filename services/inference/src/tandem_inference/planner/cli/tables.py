"""Plain-text tables and numbers for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

Cell = str | float | int | None


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Columns as wide as their widest cell; numbers to the right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(header, *texts, strict=True)]
    numeric = [all(not isinstance(row[i], str) for row in rows) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        placed = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return "  ".join(placed).rstrip()

    return "\n".join(
        [line(header), "  ".join("-" * width for width in widths), *(line(row) for row in texts)]
    )


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"
