"""Reads the Prometheus text that engines publish and writes several engines' texts as one, told apart by a label.

Text format 0.0.4 and 1.0.0: https://prometheus.io/docs/instrumenting/exposition_formats/. Values are passed on as they were
written; lines that are no sample are left out, so that one odd line does not spoil the whole page.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_SAMPLE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s+(\S+)(\s+-?\d+)?\s*", re.ASCII)
_ABOUT: Final = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?", re.ASCII)
_TYPES: Final = {"counter", "gauge", "histogram", "summary", "untyped"}
_SUFFIXES: Final = {
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("", "_sum", "_count"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: `labels` as written between the braces, `value` with its time stamp, if it has one."""

    name: str
    labels: str
    value: str


@dataclass(slots=True)
class Family:
    """One metric with its description and all its samples."""

    name: str
    help: str = ""
    type: str = "untyped"
    samples: list[Sample] = field(default_factory=list)

    def owns(self, sample: str) -> bool:
        """Whether a sample called `sample` belongs to this metric."""
        return sample in (self.name + suffix for suffix in _SUFFIXES.get(self.type, ("",)))


def read_families(text: str, *, prefix: str = "") -> list[Family]:
    """Return the metrics in `text` whose names begin with `prefix`, in the text's order."""
    families: dict[str, Family] = {}
    current: Family | None = None
    for line in text.split("\n"):  # only this ends a line here; a label may hold the others
        if line.startswith("#"):
            if about := _ABOUT.fullmatch(line):
                current = families.setdefault(about[2], Family(about[2]))
                _describe(current, about[1], about[3] or "")
        elif sample := _sample(line):
            if current is None or not current.owns(sample.name):
                current = families.setdefault(sample.name, Family(sample.name))
            current.samples.append(sample)
    return [family for family in families.values() if family.name.startswith(prefix) and family.samples]


def merge_families(sources: Mapping[str, Sequence[Family]], *, label: str) -> Iterator[str]:
    """Yield the lines of one page: each metric described once, its samples under `label`=source.

    A source that gives a metric another type than the first source did is left out of that metric.
    """
    merged: dict[str, list[tuple[str, Family]]] = {}
    for source, families in sources.items():
        for family in families:
            merged.setdefault(family.name, []).append((source, family))
    for name, owners in merged.items():
        first = owners[0][1]
        yield f"# HELP {name} {first.help}"
        yield f"# TYPE {name} {first.type}"
        for source, family in owners:
            if family.type == first.type:
                yield from (_labelled(sample, f'{label}="{source}"') for sample in family.samples)


def total(families: Sequence[Family], name: str) -> float | None:
    """The sum of the samples called exactly `name`; None when there is none."""
    values = [float(s.value.split()[0]) for family in families for s in family.samples if s.name == name]
    return sum(values) if values else None


def highest(families: Sequence[Family], name: str) -> float | None:
    """The largest of the samples called exactly `name`; None when there is none."""
    values = [float(s.value.split()[0]) for family in families for s in family.samples if s.name == name]
    return max(values, default=None)


def _describe(family: Family, what: str, text: str) -> None:
    if what == "TYPE":
        family.type = text if text in _TYPES else "untyped"
    else:
        family.help = text


def _sample(line: str) -> Sample | None:
    found = _SAMPLE.fullmatch(line)
    if found is None:
        return None
    name, labels, value, time = found.groups()
    try:
        float(value)
    except ValueError:
        return None
    return Sample(name, (labels or "").strip().rstrip(","), value + (time or ""))


def _labelled(sample: Sample, label: str) -> str:
    labels = f"{label},{sample.labels}" if sample.labels else label
    return f"{sample.name}{{{labels}}} {sample.value}"
