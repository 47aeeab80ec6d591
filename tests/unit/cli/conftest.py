"""A store with a known past, and the command run in this process."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pitstop.cli import main
from pitstop.model import Batch, Rollups, Samples, Series
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
