"""Rollups made from durations that a test knows one by one."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Errors, Profiles, Rollups, Series, Span, Traces
from pitstop.model.trace import encode_spans
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pitstop.model import Store


class Recorded:
    """A memory store, and a short way to fill it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seq = 0

    def add(
        self,
        ts: int,
        name: str,
        durations_s: Sequence[float],
        *,
        outcome: str = "200",
        kind: str = "http",
        parent: str = "",
        service: str = "shop",
        nbytes: int = 100,
    ) -> None:
        """One row: everything that happened to one series in the second `ts`."""
        rollups = Rollups()
        whole_ns = [round(seconds * 1e9) for seconds in durations_s]
        rollups.ts.append(ts)
        rollups.series.append(Series(service, "", kind, name, parent, outcome))
        rollups.count.append(len(whole_ns))
        rollups.sum_ns.append(sum(whole_ns))
        rollups.min_ns.append(min(whole_ns))
        rollups.max_ns.append(max(whole_ns))
        rollups.nbytes.append(nbytes * len(whole_ns))
        rollups.hist.append(encode(dict(Counter(map(position_of, whole_ns)))))
        self.write(rollups)

    def trace(self, ts: float, name: str, duration_s: float, spans: Sequence[Span] = (), **fields: object) -> None:
        """One kept trace that began at `ts`; `fields` are columns of `Traces`."""
        row = trace_row(ts, name, duration_s, spans, **fields)
        self.store.append(Batch("test:1:1", self._seq, traces=row))
        self._seq += 1

    def error(self, ts: int, route: str, kind: str, times: int = 1, **fields: str) -> None:
        """A failure that happened `times` times in the second `ts`: its series, and one occurrence."""
        seen = Errors()
        row = {
            "fingerprint": f"{kind}-{route}"[:16], "line": "shop/pay.py:7 in charge", "message": "card …",
            "stack": "shop/app.py:3 in pay\nshop/pay.py:7 in charge", "service": "shop", "trace_id": "",
        } | fields  # fmt: skip
        for column, value in (row | {"ts": ts, "route": route, "type": kind}).items():
            getattr(seen, column).append(value)
        self.add(ts, row["fingerprint"], [0.1] * times, kind="error", parent=route, outcome=kind, nbytes=0)
        self.store.append(Batch("test:1:1", self._seq, errors=seen))
        self._seq += 1

    def profile(self, ts: int, stacks: Mapping[str, int], *, mode: str = "wall", route: str = "GET /a") -> None:
        """Stacks with their samples of 10 ms each."""
        found = profile_of(stacks, ts=ts, mode=mode, route=route)
        self.store.append(Batch("test:1:1", self._seq, profiles=found))
        self._seq += 1

    def write(self, rollups: Rollups) -> None:
        self.store.append(Batch("test:1:1", self._seq, rollups))
        self._seq += 1


def trace_row(
    ts: float, name: str, duration_s: float, spans: Sequence[Span] = (), into: Traces | None = None, **fields: object
) -> Traces:
    kept = Traces() if into is None else into
    row = {
        "ts": int(ts), "start_ns": round(ts * 1e9), "duration_ns": round(duration_s * 1e9), "trace_id": "ab" * 16,
        "span_id": "00000000000000aa", "parent_id": "", "service": "shop", "worker": "test:1:1", "tenant": "",
        "kind": "http", "name": name, "outcome": "200", "nbytes": 0, "reason": "slow", "weight": 1, "fingerprint": "",
        "spans": len(spans), "left_out": 0, "body": encode_spans(spans),
    } | fields  # fmt: skip
    for column, value in row.items():
        getattr(kept, column).append(value)
    return kept


def profile_of(stacks: Mapping[str, int], *, ts: int = 1000, mode: str = "wall", route: str = "GET /a") -> Profiles:
    found = Profiles()
    for stack, samples in stacks.items():
        row = (ts, "shop", mode, route, stack, samples, samples * 10_000_000)
        for column, value in zip(("ts", "service", "mode", "route", "stack", "samples", "weight_ns"), row, strict=True):
            getattr(found, column).append(value)
    return found


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Iterator[Recorded]:
    store = open_store(f"memory://{request.node.nodeid}")
    yield Recorded(store)
    store.close()


@pytest.fixture
def calls_of() -> Callable[[Callable[[], object]], int]:
    """Counts the calls that some work makes, Python's and C's: what time would say on a machine that does no other."""

    def counted(work: Callable[[], object]) -> int:
        calls = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event in {"call", "c_call"}

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            work()
        finally:
            sys.setprofile(before)
        return calls

    return counted


@pytest.fixture
def stacks() -> object:
    """Makes profiles from stacks and numbers of samples."""
    return profile_of


@pytest.fixture
def part() -> object:
    """Makes rows of traces that no store has yet."""
    return trace_row
