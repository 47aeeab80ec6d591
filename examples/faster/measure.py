"""Make the service faster step by step, and let Pitstop say by how much: P95 of the same requests, from its own store.

    python examples/faster/measure.py [--requests 400] [--folder .faster]

Everything stays in the folder; `pitstop serve --store sqlite:///.faster/pitstop.db` shows it afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from sqlalchemy import create_engine  # noqa: E402  found through the line above

from faster import load, tables  # noqa: E402
from pitstop import analyze  # noqa: E402
from pitstop.app import open_store  # noqa: E402
from pitstop.model import Window  # noqa: E402
from pitstop.tune.database.advice import Workload, advise  # noqa: E402
from shop.children import Child, free_port  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pitstop.analyze.stats import Stats

ROUTE = "GET /customers/{customer_id}/overview"
SERVICE = "faster"
START_S = 60.0  # what a slow machine may take to start one program
STORED_S = 30.0
SAME = (1, 7, 16)  # customers whose pages are compared between steps


class Step(NamedTuple):
    """One step: the module it runs, and whether the indexes that were advised after step 0 are there."""

    name: str
    module: str
    indexed: bool


STEPS = (
    Step("as it was", "slow", indexed=False),
    Step("indexes from pitstop advise", "slow", indexed=True),
    Step("N+1 loaded together, pool", "loaded", indexed=True),
    Step("waves, one pooled client", "waved", indexed=True),
    Step("cache with tags", "cached", indexed=True),
)


class Measured(NamedTuple):
    """What Pitstop has stored of one step's requests, and when they were sent."""

    step: Step
    window: Window
    stats: Stats

    @property
    def p95_s(self) -> float:
        """Seconds."""
        assert self.stats.p95_s is not None
        return self.stats.p95_s


class FasterError(Exception):
    """It cannot go on; the message says why."""


class Course:
    """All steps in one folder, one store and beside the same other services."""

    def __init__(
        self, folder: Path, number: int, say: Callable[[str], object], customers: int = tables.CUSTOMERS
    ) -> None:
        self.folder = folder.resolve()
        self.store_url = f"sqlite:///{self.folder / 'pitstop.db'}"
        self.advised: list[str] = []
        self._number, self._customers = number, customers
        self._say = say
        self._pages: dict[tuple[str, int], object] = {}

    def run(self) -> list[Measured]:
        """Every step, measured."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        tables.fill(self.folder / "fresh.db", self._customers)
        others = free_port(0)
        with self._program("others", "faster.upstream:app", others, ()):
            measured = []
            for number, step in enumerate(STEPS):
                measured.append(self._measure(number, step, f"http://127.0.0.1:{others}"))
                self._say(_line(number, measured[-1], measured[0]))
                if not number:
                    self.advised = self._advised(measured[0].window)
            return measured

    def _measure(self, number: int, step: Step, others: str) -> Measured:
        database = self.folder / f"step{number}.db"
        shutil.copy(self.folder / "fresh.db", database)
        if step.indexed:
            with sqlite3.connect(database) as connection:
                connection.executescript(";\n".join(self.advised))
            connection.close()
        port = free_port(0)
        record = ("-m", "pitstop", "run", "--service", SERVICE, "--store", self.store_url, "--", sys.executable)
        environment = {"FASTER_DB": str(database), "FASTER_OTHERS": others}
        with self._program(f"step{number}", f"faster.{step.module}:app", port, record, environment):
            self._compare(number, port, "before", SAME)
            load.send(port, load.every_page())
            wanted = load.requests(self._number)
            time.sleep(1 - time.time() % 1)  # a window is of whole seconds, and what went before is not in it
            start_s = int(time.time())
            statuses = load.send(port, wanted)
            end_s = int(time.time()) + 1
            time.sleep(max(0.0, end_s - time.time()))
            self._compare(number, port, "after", (1, *load.buyers(wanted)))
        if set(statuses) != {200}:
            raise FasterError(f"step {number} answered {sorted(set(statuses))}, 200 was expected of every request")
        window = Window(start_s, end_s)
        pages = sum(request.method == "GET" for request in wanted)
        return Measured(step, window, self._stored(window, pages))

    def _compare(self, number: int, port: int, moment: str, customers: tuple[int, ...]) -> None:
        """Every step shows the same pages, also after somebody has bought something: what is kept is not outdated."""
        for customer in customers:
            page = json.loads(load.page(port, customer))
            if page != self._pages.setdefault((moment, customer), page):
                raise FasterError(
                    f"{moment} the load step {number} shows another page of customer {customer} than step 0"
                )

    def _stored(self, window: Window, pages: int) -> Stats:
        """What Pitstop says of the window; a clean stop has flushed it."""
        deadline_s = time.monotonic() + STORED_S
        with closing(open_store(self.store_url)) as store:
            while True:
                stats = analyze.route_detail(store, window, SERVICE, ROUTE).stats
                if stats.requests == pages:
                    return stats
                if time.monotonic() > deadline_s:
                    raise FasterError(f"{pages} pages were asked for, Pitstop has stored {stats.requests}")
                time.sleep(0.2)

    def _advised(self, window: Window) -> list[str]:
        """Indexes for the statements that step 0 was seen to run."""
        with closing(open_store(self.store_url)) as store:
            seen = analyze.queries(store, window, SERVICE)
        workload = [Workload(row.statement, row.calls, row.total_s, row.rows) for row in seen]
        engine = create_engine(f"sqlite:///{self.folder / 'step0.db'}")
        try:
            advice = advise(engine, workload)
        finally:
            engine.dispose()
        made = [one for one in advice.suggestions if one.kind == "create index"]
        for one in made:
            self._say(f"     advised: {one.sql}   -- {one.gain}")
        return [one.sql.rstrip("; ") for one in made]

    @contextmanager
    def _program(
        self, name: str, app: str, port: int, record: tuple[str, ...], environment: dict[str, str] | None = None
    ) -> Iterator[None]:
        serve = ("-m", "uvicorn", app, "--port", str(port), "--log-level", "warning", "--no-access-log")
        around = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, *record, *serve]
        child = Child(name, command, self.folder / f"{name}.log", around | (environment or {}), self.folder)
        try:
            if not child.answers(port, START_S):
                raise FasterError(f"{name} does not answer:\n{child.last_lines()}")
            yield
        finally:
            child.stop()


def _line(number: int, one: Measured, first: Measured) -> str:
    stats = one.stats
    figures = " ".join(f"{(seconds or 0) * 1e3:8.3g}" for seconds in (stats.p50_s, stats.p95_s, stats.p99_s))
    return f"{number}  {one.step.name:<30} {figures}  × {first.p95_s / one.p95_s:.3g}"


def main() -> int:
    """Print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400, help="of each step; default 400")
    parser.add_argument("--folder", type=Path, default=Path(".faster"), help="is emptied first; default .faster")
    options = parser.parse_args()
    print(f"step {'':<30}  P50 ms   P95 ms   P99 ms  P95 against step 0")
    try:
        measured = Course(options.folder, options.requests, lambda line: print(line, flush=True)).run()
    except FasterError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if measured[-1].p95_s * 10 <= measured[0].p95_s else 1


if __name__ == "__main__":
    sys.exit(main())
