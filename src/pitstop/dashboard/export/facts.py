"""What exporters make their families of: everything is read once for all of them, when one of them first asks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from pitstop.analyze.columns import GroupCounts
from pitstop.analyze.stats import numbered_by, sums
from pitstop.dashboard.export.blocks import in_blocks
from pitstop.dashboard.export.family import COUNTER, GAUGE, HISTOGRAM, Block, Exemplar, Family, LabelSet, shown
from pitstop.dashboard.export.totals import gathered, rows_of
from pitstop.model import Match, PitstopError, Rollups, Window
from pitstop.model.trace import TraceMatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pitstop.dashboard.export.totals import Counted
    from pitstop.model import Series, Store, StoreSize
    from pitstop.model.watching import Watch

T = TypeVar("T")

ALIVE_S = 30  # a worker that said nothing for so long is gone: it samples its gauges every five seconds
SELDOM_S = 15  # the usual distance of scrapes
RECENT_S = 300  # what percentiles told as gauges are taken over
EXEMPLARS_S = 900  # how old a trace may be that stands for a bucket
MOST_EXEMPLARS = 500
SLOW_BOUNDS = tuple(range(-9, 6))  # 2 ms … 32 s: requests and tasks
FAST_BOUNDS = tuple(range(-15, 3))  # 31 µs … 4 s: statements, caches, functions


class Reading(NamedTuple):
    """The newest value of one gauge of one worker that lives."""

    service: str
    worker: str
    name: str
    value: float


class Ourselves(NamedTuple):
    """What the exposition knows of itself: the last one, by whoever asked for it. `failures` by exporter."""

    took_s: float = 0.0
    size_bytes: int = 0
    samples: int = 0
    scrapes: int = 0
    failures: Mapping[str, int] = {}
    sent: int = 0
    send_failures: int = 0
    send_dropped: int = 0
    sent_s: float | None = None


class Facts:
    """Everything at `now_s`. For one thread at a time. `watch` None: nobody watches. `kept` lasts longer than this."""

    def __init__(
        self,
        store: Store,
        counted: Counted,
        now_s: float,
        watch: Watch | None,
        ourselves: Ourselves,
        kept: dict[str, tuple[float, object]],
    ) -> None:
        self.store = store
        self.counted = counted
        self.now_s = now_s
        self.watch = watch
        self.ourselves = ourselves
        self._kept = kept

    def rows(self, kind: str) -> Rollups:
        """Totals of one kind."""
        return self.counted.rows.get(kind, Rollups())

    def watched(self, ask: Callable[[Watch], Sequence[T]]) -> Sequence[T]:
        """What whoever watches answers; nothing where nobody does, or where it cannot be told now."""
        if self.watch is None:
            return ()
        try:
            return ask(self.watch)
        except PitstopError:
            return ()

    def seldom(self, key: str, ask: Callable[[], T]) -> T:
        """What `ask` answers, asked at most every `SELDOM_S`: for what is dear and changes slowly."""
        until_s, value = self._kept.get(key, (float("-inf"), None))
        if not until_s - SELDOM_S <= self.now_s < until_s:
            value = ask()
            self._kept[key] = (self.now_s + SELDOM_S, value)
        return cast("T", value)

    @cached_property
    def size(self) -> StoreSize:
        """What the store takes."""
        return self.store.size()

    @cached_property
    def readings(self) -> Sequence[Reading]:
        """The gauges of every worker that lives."""
        now_s = int(self.now_s)
        samples = self.store.samples(Window(now_s - ALIVE_S, now_s + 1), step_s=1)
        last: dict[tuple[str, str, str], float] = {}
        for service, worker, name, value in zip(
            samples.service, samples.worker, samples.name, samples.value, strict=True
        ):
            last[service, worker, name] = value
        return [Reading(*key, value) for key, value in last.items()]

    def recent(self, kind: str) -> Rollups:
        """What came in the last five minutes, a row a series."""
        end_s = int(self.now_s) + 1
        match = Match(kind=kind)
        return rows_of(
            gathered(lambda start, end: self.store.rollups(Window(start, end), match), end_s - RECENT_S, end_s)
        )

    @cached_property
    def exemplars(self) -> Mapping[tuple[str, str, str, str, str], Sequence[Exemplar]]:
        """Newly kept traces by service, tenant, kind, name and outcome; newest first."""
        now_s = int(self.now_s)
        found = self.store.traces(Window(now_s - EXEMPLARS_S, now_s + 1), TraceMatch(), limit=MOST_EXEMPLARS)
        out: dict[tuple[str, str, str, str, str], list[Exemplar]] = {}
        for i, trace_id in enumerate(found.trace_id):
            key = (found.service[i], found.tenant[i], found.kind[i], found.name[i], found.outcome[i])
            took_ns = found.duration_ns[i]
            ends_s = (found.start_ns[i] + took_ns) / 1e9
            out.setdefault(key, []).append(Exemplar(trace_id, took_ns / 1e9, round(ends_s, 3)))
        return out

    def durations(
        self,
        name: str,
        text: str,
        kind: str,
        labels: tuple[str, ...],
        key: Callable[[Series], LabelSet | None],
        bounds: tuple[int, ...] = FAST_BOUNDS,
        *,
        unit: str = "seconds",
        exemplars: bool = False,
    ) -> Family:
        """Histograms of the series of `kind` by what `key` says of them; None leaves one out."""
        rows = _with_histograms(self.rows(kind))
        names, groups = numbered_by(rows.series, lambda series: _shown(key(series)))
        number = len(names)

        def blocks() -> Iterator[Block]:
            if not number:
                return
            added = sums(rows, groups, number, failed=False)
            found = self._exemplars_by(kind, key) if exemplars else {}
            for block, merged in in_blocks(rows.hist, groups, number):
                told = np.array([names[at] is not None for at in block])
                if told.any():
                    chosen = GroupCounts(merged.first, merged.counts[told])
                    sums_s = added.sum_ns[block.start : block.stop][told] / 1e9
                    sets = [labels for labels in names[block.start : block.stop] if labels is not None]
                    yield Block(sets, chosen.totals(), sums_s, chosen, found)

        return Family(name, HISTOGRAM, text, unit, labels, bounds=bounds, blocks=blocks)

    def _exemplars_by(
        self, kind: str, key: Callable[[Series], LabelSet | None]
    ) -> Mapping[LabelSet, Sequence[Exemplar]]:
        from pitstop.model import Series  # noqa: PLC0415

        out: dict[LabelSet, list[Exemplar]] = {}
        for (service, tenant, of, name, outcome), found in self.exemplars.items():
            if of == kind:
                labels = _shown(key(Series(service, tenant, of, name, "", outcome)))
                if labels is not None:
                    out.setdefault(labels, []).extend(found)
        return out

    def counters(
        self,
        kind: str,
        labels: tuple[str, ...],
        key: Callable[[Series], LabelSet | None],
        *families: tuple[str, str, str, Callable[[Sums3], Sequence[float]]],
    ) -> Iterator[Family]:
        """Counters of the series of `kind`: name, help, unit, and what is taken of count, sum_s and nbytes."""
        rows = self.rows(kind)
        names, groups = numbered_by(rows.series, lambda series: _shown(key(series)))
        if not names:
            return
        added = sums(rows, groups, len(names), failed=False)
        columns = Sums3(added.count.tolist(), (added.sum_ns / 1e9).tolist(), added.nbytes.tolist())
        for name, text, unit, take in families:
            values = [(set_, value) for set_, value in zip(names, take(columns), strict=True) if set_ is not None]
            yield Family(name, COUNTER, text, unit, labels, values)

    def gauges(self, name: str, text: str, reading: str, unit: str = "") -> Family:
        """The gauge `reading` of every worker."""
        values = [((shown(one.service), shown(one.worker)), one.value) for one in self.readings if one.name == reading]
        return Family(name, GAUGE, text, unit, PER_WORKER, values)

    def worker_counters(self, name: str, text: str, reading: str, unit: str = "") -> Family:
        """A gauge of every worker that only grows while the worker lives."""
        return Family(name, COUNTER, text, unit, PER_WORKER, self.gauges(name, text, reading).values)


class Sums3(NamedTuple):
    """Columns of totals: events, seconds and bytes (or rows) of each label set."""

    events: list[int]
    sum_s: list[float]
    nbytes: list[int]


PER_WORKER = ("service_name", "service_instance_id")


def _shown(labels: LabelSet | None) -> LabelSet | None:
    return None if labels is None else tuple(map(shown, labels))


def _with_histograms(rows: Rollups) -> Rollups:
    """Without rows that have none: their counts could not be told in buckets."""
    if all(rows.hist):
        return rows
    return rows.chosen(at for at, hist in enumerate(rows.hist) if hist)
