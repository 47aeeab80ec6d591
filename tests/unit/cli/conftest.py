"""A store with a known past, and the command run in this process."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pitstop.cli import main
from pitstop.model import Batch, Errors, Profiles, Rollups, Samples, Series, Span, Traces
from pitstop.model.trace import encode_spans
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG = "GET /search/{a_very}/{long}/{template}/that/no/terminal/has/the/room/for"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def row(rollups: Rollups, ts: int, name: str, outcome: str, duration_s: float, number: int) -> None:
    whole_ns = round(duration_s * 1e9)
    rollups.ts.append(ts)
    rollups.series.append(Series("shop", "", "http", name, "", outcome))
    rollups.count.append(number)
    rollups.sum_ns.append(whole_ns * number)
    rollups.min_ns.append(whole_ns)
    rollups.max_ns.append(whole_ns)
    rollups.nbytes.append(1000 * number)
    rollups.hist.append(encode({position_of(whole_ns): number}))


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Five minutes of three routes and one worker, until a minute ago."""
    url = f"sqlite:///{tmp_path}/shop.db"
    store = open_store(url)
    now = int(time.time())
    for seq, ts in enumerate(range(now - 360, now - 60, 10)):
        rollups, samples = Rollups(), Samples()
        row(rollups, ts, "GET /items/{item_id}", "200", 0.02, 10)
        row(rollups, ts, "POST /orders", "200", 0.7, 4)
        row(rollups, ts, "POST /orders", "500", 0.1, 1)
        row(rollups, ts, LONG, "200", 0.2, 5)
        for name, value in (
            ("process.memory.rss_bytes", 81e6),
            ("process.cpu_ratio", 0.12),
            ("pitstop.dropped", 0.0),
            ("pitstop.request_cost_s", 4.2e-6),
        ):
            samples.ts.append(ts)
            samples.service.append("shop")
            samples.worker.append("host:4711:1")
            samples.name.append(name)
            samples.value.append(value)
        store.append(Batch("host:4711:1", seq, rollups, samples))
    store.close()
    return url


QUERY = "SELECT orders.id, orders.total FROM orders WHERE orders.id = ?"
PLACE = "shop/orders.py:12 in list_orders"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FAILED_TRACE = "00f067aa0ba902b74bf92f3577b34da6"


def insides(rollups: Rollups, ts: int) -> None:
    """What ran below the requests of ten seconds: series of every kind that a command shows."""

    def add(kind: str, name: str, outcome: str, duration_s: float, number: int, nbytes: int = 0) -> None:
        row(rollups, ts, name, outcome, duration_s, number)
        rollups.series[-1] = Series("shop", "", kind, name, "POST /orders", outcome)
        rollups.nbytes[-1] = nbytes

    add("db", QUERY, "ok", 0.02, 100, 100)
    add("db", "INSERT INTO orders (total) VALUES (?)", "ok", 0.05, 4, 4)
    add("db", "INSERT INTO orders (total) VALUES (?)", "error", 0.05, 1)
    add("n_plus_one", QUERY, PLACE, 0.5, 4, 100)
    add("part", "db", "", 0.5, 5)
    add("part", "gc", "", 0.01, 1)
    add("error", "9" * 16, "ValueError", 0.1, 1)


def kept(now: int) -> tuple[Traces, Errors, Profiles]:
    """Two traces, a failure and a few stacks."""
    traces, errors, profiles = Traces(), Errors(), Profiles()
    spans = [Span(2, 0, "function", "price basket", "ok", 1_000_000, 600_000_000, 0, None)]
    spans += [
        Span(10 + i, 2, "db", QUERY, "ok", (5 + i * 20) * 1_000_000, 18_000_000, 1, {"line": PLACE}) for i in range(25)
    ]
    spans.append(Span(900, 0, "template", "order.html", "ok", 640_000_000, 20_000_000, 0, None))
    for ts, trace_id, outcome, reason, held in (
        (now - 100, TRACE, "200", "n+1", spans),
        (now - 90, FAILED_TRACE, "500", "failed", [Span(5, 0, "db", "INSERT INTO x", "error", 5, 7, 0, None)]),
    ):
        values = {
            "ts": ts, "start_ns": ts * 10**9, "duration_ns": 700_000_000, "trace_id": trace_id, "span_id": "a" * 16,
            "parent_id": "", "service": "shop", "worker": "host:4711:1", "tenant": "", "kind": "http",
            "name": "POST /orders", "outcome": outcome, "nbytes": 900, "reason": reason, "weight": 1,
            "fingerprint": "9" * 16 if outcome == "500" else "", "spans": len(held), "left_out": 0,
            "body": encode_spans(held),
        }  # fmt: skip
        for column, value in values.items():
            getattr(traces, column).append(value)
    failure = {
        "ts": now - 90, "service": "shop", "route": "POST /orders", "fingerprint": "9" * 16, "type": "ValueError",
        "message": "total … is negative", "line": PLACE, "stack": f"shop/app.py:3 in order\n{PLACE}",
        "trace_id": FAILED_TRACE,
    }  # fmt: skip
    for column, value in failure.items():
        getattr(errors, column).append(value)
    for ts, slow in ((now - 100, 60), (now - 4000, 10)):
        for stack, samples in (("main (app.py:1);slow (app.py:9)", slow), ("main (app.py:1);fast (app.py:5)", 40)):
            stacked = (ts, "shop", "wall", "POST /orders", stack, samples, samples * 20_000_000)
            names = ("ts", "service", "mode", "route", "stack", "samples", "weight_ns")
            for column, value in zip(names, stacked, strict=True):
                getattr(profiles, column).append(value)
    return traces, errors, profiles


@pytest.fixture
def insides_url(store_url: str) -> str:
    """The same service, with what happened inside its requests."""
    store = open_store(store_url)
    now = int(time.time())
    for seq, ts in enumerate(range(now - 360, now - 60, 10)):
        rollups = Rollups()
        insides(rollups, ts)
        store.append(Batch("host:4711:2", seq, rollups))
    traces, errors, profiles = kept(now)
    store.append(Batch("host:4711:2", 1000, traces=traces, errors=errors, profiles=profiles))
    store.close()
    return store_url


@pytest.fixture
def wide_trace(store_url: str) -> int:
    """A trace of so many different spans, each longer than the one before."""
    store, now = open_store(store_url), int(time.time())
    traces, _, _ = kept(now)
    one = Traces()
    spans = [Span(i + 1, 0, "function", f"step {i}", "ok", i * 1_000_000, i * 1_000, 0, None) for i in range(300)]
    for column in Traces.__slots__:
        getattr(one, column).append(getattr(traces, column)[0])
    one.trace_id[0], one.spans[0], one.left_out[0], one.body[0] = "77" * 16, 300, 3, encode_spans(spans)
    store.append(Batch("host:4711:3", 0, traces=one))
    store.close()
    return len(spans)


@pytest.fixture
def pitstop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    """Run ``pitstop …`` here, in an empty folder and without settings of the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("PITSTOP_STORE", "PITSTOP_SERVICE", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["pitstop", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, seen.out, seen.err)

    return run
