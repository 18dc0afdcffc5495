"""One start-up as an engine reported it: the shared CSV's columns, read and written; blanks are None."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tandem_inference.planner.errors import UnreadableConfigError

COLUMNS = (
    "source",
    "vllm_version",
    "gpu",
    "gpu_total_gib",
    "model",
    "dtype",
    "quantization",
    "kv_cache_dtype",
    "tp",
    "gpu_memory_utilization",
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "enforce_eager",
    "weights_gib",
    "activation_gib",
    "non_torch_gib",
    "cudagraph_gib",
    "kv_cache_gib",
    "kv_cache_tokens",
    "notes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a log or a table says of one start; `started` is None where it does not say."""

    source: str = ""
    vllm_version: str | None = None
    gpu: str | None = None
    gpu_total_gib: float | None = None
    model: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    tp: int | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    enforce_eager: bool | None = None
    weights_gib: float | None = None
    activation_gib: float | None = None
    non_torch_gib: float | None = None
    cudagraph_gib: float | None = None
    kv_cache_gib: float | None = None
    kv_cache_tokens: int | None = None
    notes: str = ""

    @property
    def started(self) -> bool | None:
        """Whether the engine came up, as far as the numbers and notes tell."""
        if "start fails" in self.notes.lower() or "start failed" in self.notes.lower():
            return False
        if self.kv_cache_gib is None:
            return None
        return self.kv_cache_gib > 0


_TEXT = {"source", "vllm_version", "gpu", "model", "dtype", "quantization", "kv_cache_dtype", "notes"}
_WHOLE = {"tp", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "kv_cache_tokens"}


def _value(column: str, text: str, line: int) -> object:
    if column in _TEXT:
        return text or ("" if column in ("source", "notes") else None)
    if not text:
        return None
    if column == "enforce_eager":
        return text.lower() in ("true", "1", "yes")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e12:
        raise UnreadableConfigError(f"line {line}: {column} must be a number; got {text!r:.40}", field=column)
    return int(number) if column in _WHOLE else number


def read_rows(text: str) -> Iterator[Reported]:
    """Rows of a CSV with the shared columns; unknown columns are ignored, missing ones are blank.

    Raises:
        UnreadableConfigError: no header of these columns, or a number that is none.
    """
    try:
        yield from _rows(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise UnreadableConfigError(f"this is no CSV: {error}", field="file") from error


def _rows(reader: csv.DictReader[str]) -> Iterator[Reported]:
    known = set(reader.fieldnames or ()) & set(COLUMNS)
    if not {"model", "kv_cache_gib"} <= known:
        raise UnreadableConfigError("the CSV lacks the columns model and kv_cache_gib: " + ", ".join(COLUMNS))
    for line, row in enumerate(reader, start=2):
        values = {name: _value(name, (row.get(name) or "").strip(), line) for name in known}
        yield Reported(**values)  # type: ignore[arg-type]  # each column is converted to its field's type above


def write_rows(rows: Iterable[Reported]) -> str:
    """The rows as CSV text with the shared columns, blanks for None."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, column)) for column in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
