"""The kept requests: lists of them, and how long they took."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.trace import TraceMatch

if TYPE_CHECKING:
    from pitstop.model import Store, Traces, Window

BUCKETS_AN_OCTAVE = 4  # of a duration histogram: a bar is 19 % wider than the one before
MOST_COUNTED = 20_000  # traces in a histogram: two a second and worker, as kept by default, for three hours


class TraceRow(NamedTuple):
    """One kept request, without its spans. `started_at` Unix seconds, `duration_s` seconds.

    `weight` is how many requests of its like it stands for, `reason` why it was kept, `spans` how many are kept and
    `left_out` how many there were beyond; `fingerprint` of the failure, or ``""``.
    """

    trace_id: str
    span_id: str
    service: str
    kind: str
    route: str
    started_at: float
    duration_s: float
    outcome: str
    reason: str
    weight: int
    spans: int
    left_out: int
    nbytes: int
    fingerprint: str
    worker: str


class TraceHistogram(NamedTuple):
    """Kept traces by duration: bar i has those longer than `edges_s[i]` up to `edges_s[i + 1]`.

    `counts` are traces and `weights` the requests they stand for. `complete` is False when there were more than
    `MOST_COUNTED` and only the newest of them are counted.
    """

    edges_s: tuple[float, ...]
    counts: tuple[int, ...]
    weights: tuple[int, ...]
    complete: bool


def traces(
    store: Store,
    window: Window,
    service: str | None = None,
    match: TraceMatch | None = None,
    *,
    limit: int = 100,
    slowest: bool = False,
) -> list[TraceRow]:
    """Kept traces in `window` that `match` accepts, the newest (or slowest) first. `service` goes before `match`'s."""
    return traces_of(store.traces(window, _matched(match, service), limit=limit, slowest=slowest))


def trace_histogram(
    store: Store, window: Window, service: str | None = None, match: TraceMatch | None = None
) -> TraceHistogram:
    """Durations of the kept traces that `match` accepts, in bars that grow by a quarter of an octave."""
    wanted = _matched(match, service)
    return trace_histogram_of(store.traces(window, wanted, limit=MOST_COUNTED))


def traces_of(kept: Traces) -> list[TraceRow]:
    """Rows of the store, named."""
    return [
        TraceRow(
            trace_id=kept.trace_id[i],
            span_id=kept.span_id[i],
            service=kept.service[i],
            kind=kept.kind[i],
            route=kept.name[i],
            started_at=kept.start_ns[i] / 1e9,
            duration_s=kept.duration_ns[i] / 1e9,
            outcome=kept.outcome[i],
            reason=kept.reason[i],
            weight=kept.weight[i],
            spans=kept.spans[i],
            left_out=kept.left_out[i],
            nbytes=kept.nbytes[i],
            fingerprint=kept.fingerprint[i],
            worker=kept.worker[i],
        )
        for i in range(len(kept))
    ]


def trace_histogram_of(kept: Traces) -> TraceHistogram:
    """Rows of the store, by duration."""
    complete = len(kept) < MOST_COUNTED
    if not len(kept):
        return TraceHistogram((), (), (), complete)
    counts: Counter[int] = Counter()
    weights: Counter[int] = Counter()
    for duration_ns, weight in zip(kept.duration_ns, kept.weight, strict=True):
        bar = math.ceil(math.log2(max(duration_ns, 1) / 1e9) * BUCKETS_AN_OCTAVE - 1e-9)
        counts[bar] += 1
        weights[bar] += weight
    bars = range(min(counts), max(counts) + 1)
    edges = tuple(2 ** (bar / BUCKETS_AN_OCTAVE) for bar in range(bars.start - 1, bars.stop))
    return TraceHistogram(edges, tuple(counts[bar] for bar in bars), tuple(weights[bar] for bar in bars), complete)


def _matched(match: TraceMatch | None, service: str | None) -> TraceMatch:
    found = match or TraceMatch()
    return found if service is None else found._replace(service=service)
