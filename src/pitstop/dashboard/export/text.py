"""Families as text: Prometheus' format 0.0.4 and OpenMetrics 1.0.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/
A histogram's lines are one template filled in, which takes a tenth of the time of writing them one by one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pitstop.dashboard.export.family import COUNTER, HISTOGRAM
from pitstop.rollup.histogram import BUCKETS_PER_OCTAVE, OTEL_OFFSET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pitstop.analyze.columns import GroupCounts
    from pitstop.dashboard.export.family import Exemplar, Family, LabelSet

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_HEAD = "\x00"  # in the template only: where labels go


def write_text(families: Iterable[Family]) -> Iterator[str]:
    """Pieces of text in format 0.0.4."""
    for family in families:
        yield from _family(family, open_metrics=False)


def write_openmetrics(families: Iterable[Family]) -> Iterator[str]:
    """Pieces of OpenMetrics text, with exemplars."""
    for family in families:
        yield from _family(family, open_metrics=True)
    yield "# EOF\n"


def _family(family: Family, *, open_metrics: bool) -> Iterator[str]:
    lines = _histograms(family, open_metrics=open_metrics) if family.kind == HISTOGRAM else _values(family)
    first = next(lines, None)
    if first is None:
        return
    counted = family.kind == COUNTER and not open_metrics
    name = f"{family.name}_total" if counted else family.name
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    if open_metrics:
        text = text.replace('"', '\\"')
    head = f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n"
    if open_metrics and family.unit and family.name.endswith(f"_{family.unit}"):
        head += f"# UNIT {name} {family.unit}\n"
    yield head
    yield first
    yield from lines


def _values(family: Family) -> Iterator[str]:
    if family.values:
        name = f"{family.name}_total" if family.kind == COUNTER else family.name
        write = LabelWriter(family.labels)
        yield "".join([f"{name}{write.braced(labels)} {number(value)}\n" for labels, value in family.values])


def _histograms(family: Family, *, open_metrics: bool) -> Iterator[str]:
    assert family.blocks is not None
    name, write = family.name, LabelWriter(family.labels)
    tails = [*(f'le="{_border(bound)}"}} ' for bound in family.bounds), 'le="+Inf"} ']
    template = "".join(f"{name}_bucket{{{_HEAD}{tail}%d\n" for tail in tails)
    for block in family.blocks():
        out = []
        buckets = classic(block.merged, family.bounds)
        for labels, below, events, total in zip(
            block.labels, buckets, block.events.tolist(), block.sum.tolist(), strict=True
        ):
            text = write(labels)
            head, braced = (f"{text},", f"{{{text}}}") if text else ("", "")
            lines = (template % (*below, events)).replace(_HEAD, head)
            exemplars = block.exemplars.get(labels) if open_metrics else None
            if exemplars:
                lines = _with_exemplars(lines, family.bounds, exemplars)
            out.append(f"{lines}{name}_sum{braced} {number(total)}\n{name}_count{braced} {events}\n")
        yield "".join(out)


def _with_exemplars(lines: str, bounds: Sequence[int], exemplars: Sequence[Exemplar]) -> str:
    out = lines.split("\n")
    for place, exemplar in by_bucket(bounds, exemplars).items():
        out[place] += f' # {{trace_id="{exemplar.trace_id}"}} {number(exemplar.value_s)} {exemplar.ts_s:.3f}'
    return "\n".join(out)


def by_bucket(bounds: Sequence[int], exemplars: Sequence[Exemplar]) -> dict[int, Exemplar]:
    """The first exemplar of each classic bucket; the bucket above all bounds comes last."""
    out: dict[int, Exemplar] = {}
    for exemplar in exemplars:
        place = next((i for i, bound in enumerate(bounds) if exemplar.value_s <= 2.0**bound), len(bounds))
        out.setdefault(place, exemplar)
    return out


def classic(merged: GroupCounts, bounds: Sequence[int]) -> list[list[int]]:
    """How many of each group took at most 2^bound seconds, for each bound; exact."""
    running = np.cumsum(merged.counts, axis=1)
    places = np.array([position_at(bound) for bound in bounds], dtype=np.int64) - merged.first
    inside = running[:, np.clip(places, 0, running.shape[1] - 1)]
    counts: list[list[int]] = np.where(places < 0, 0, inside).tolist()
    return counts


def position_at(bound: int) -> int:
    """The position of our buckets whose upper border is 2^bound seconds."""
    return BUCKETS_PER_OCTAVE * bound + OTEL_OFFSET - 1


def number(value: float) -> str:
    """As both formats have it."""
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))


def _border(bound: int) -> str:
    return repr(2.0**bound)


class LabelWriter:
    """Label sets of one family as text, without braces; empty values are left out. Escaped as both formats ask for."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._templates: dict[tuple[bool, ...], str] = {}

    def __call__(self, labels: LabelSet) -> str:
        """``a="1",b="2"``."""
        present = tuple(map(bool, labels))
        template = self._templates.get(present)
        if template is None:
            names = [name for name, there in zip(self._names, present, strict=True) if there]
            self._templates[present] = template = ",".join(f'{name}="%s"' for name in names)
        values = tuple(filter(None, labels))
        text = template % values
        if "\\" not in text and "\n" not in text and text.count('"') == 2 * len(values):
            return text
        return template % tuple(map(escaped, values))

    def braced(self, labels: LabelSet) -> str:
        """With braces, or nothing at all."""
        text = self(labels)
        return f"{{{text}}}" if text else ""


def escaped(value: str) -> str:
    """`value` between its quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
