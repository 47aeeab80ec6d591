"""A family of metrics: one name, its label sets and their values; what exporters make and writers write.

Names and units are Prometheus': base units, ``_total`` is added to counters by whoever writes them. A label set is the
values in the order of the family's label names; an empty value is no label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pitstop.analyze.columns import Floats, GroupCounts, Ints

LabelSet = tuple[str, ...]
Kind = Literal["counter", "gauge", "histogram"]

COUNTER: Kind = "counter"
GAUGE: Kind = "gauge"
HISTOGRAM: Kind = "histogram"
LONGEST_LABEL = 240  # characters of a value; Prometheus has no limit, but each series carries them all


class Exemplar(NamedTuple):
    """A request that stands for its bucket: the trace that was kept of it, how long it took, when it was, Unix s."""

    trace_id: str
    value_s: float
    ts_s: float


class Block(NamedTuple):
    """Histograms of some label sets. Row i of each is that of ``labels[i]``; `sum` is in the family's unit."""

    labels: Sequence[LabelSet]
    events: Ints
    sum: Floats
    merged: GroupCounts
    exemplars: Mapping[LabelSet, Sequence[Exemplar]]


@dataclass(frozen=True, slots=True)
class Family:
    """`values` of counters and gauges; `blocks` of histograms, made anew at each call so that few are in memory.

    `bounds` are the upper borders of classic buckets, as exponents of two: borders that our buckets have, too, so that
    their counts are exact.
    """

    name: str
    kind: Kind
    help: str
    unit: str = ""
    labels: tuple[str, ...] = ()
    values: Sequence[tuple[LabelSet, float]] = ()
    bounds: tuple[int, ...] = ()
    blocks: Callable[[], Iterator[Block]] | None = None


def shown(value: str) -> str:
    """`value` as a label's: at most LONGEST_LABEL characters, the middle left out."""
    if len(value) <= LONGEST_LABEL:
        return value
    half = LONGEST_LABEL // 2
    return f"{value[: half - 1]}…{value[-half:]}"
