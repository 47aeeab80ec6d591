"""``/metrics`` with 10,000 lines of values beside prometheus-client, in one run: CPU time and memory.

Run: ``python bench/metrics.py``. Both tell the same: 500 series of requests as histograms of 15 bounds, counts and
sums, after as many observations. prometheus-client holds them in the process that it is asked in; with several workers
each holds them, and a folder of files is read (its multiprocess mode). Pitstop reads the store that all workers write.
Each side runs in processes of its own, so that memory can be told apart. Half a minute to two.
"""

from __future__ import annotations

# ruff: noqa: PLC0415  each side loads its own, so that memory can be told apart
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import Family

ROUTES, STATUSES = 100, ("200", "201", "404", "422", "500")
BOUNDS = tuple(2.0**exponent for exponent in range(-9, 6))
EACH = 40  # observations of a series in the tail that the store is asked for each time
WORKERS = 4
ROUNDS = 15
DICE = random.Random(1)


def rss_mib() -> float:
    """Memory of its own now: files that are mapped are not counted."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024


def durations() -> list[float]:
    """Of one series, seconds."""
    return [DICE.lognormvariate(-4, 0.8) for _ in range(EACH)]


class Clock:
    """Stands where the store's last row is, so that each scrape has a minute of rows to read."""

    def __init__(self, now_s: float) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        """Unix time."""
        return self._now_s

    def monotonic_ns(self) -> int:
        """Goes on."""
        return time.perf_counter_ns()


def fill_store(path: str) -> None:
    """Some minutes of four workers."""
    from pitstop.model import Batch, Rollups, Series
    from pitstop.rollup.codec import encode
    from pitstop.rollup.histogram import position_of
    from pitstop.store import open_store

    store = open_store(f"sqlite:///{path}")
    now = int(time.time())
    seq = 0
    for at in range(EACH):
        for worker in range(WORKERS):
            rows = Rollups()
            for route in range(ROUTES):
                for status in STATUSES:
                    ns = int(DICE.lognormvariate(-4, 0.8) * 1e9)
                    rows.ts.append(now - 10 * (EACH - 1 - at))
                    rows.series.append(Series("shop", "", "http", f"GET /route/{route}/{{id}}", "", status))
                    rows.count.append(1)
                    rows.sum_ns.append(ns)
                    rows.min_ns.append(ns)
                    rows.max_ns.append(ns)
                    rows.nbytes.append(900)
                    rows.hist.append(encode({position_of(ns): 1}))
            seq += 1
            store.append(Batch(f"w{worker}", seq, rows))
        store.upkeep()
    store.close()


def timed(action: Callable[[], Iterable[bytes]]) -> tuple[float, int, float]:
    """Median and worst ms of CPU, which other programs do not disturb, and bytes."""
    taken, size = [], 0
    for _ in range(ROUNDS):
        begin = time.process_time()
        size = sum(map(len, action()))
        taken.append((time.process_time() - begin) * 1e3)
    return statistics.median(taken), size, max(taken)


def ours(path: str, whole: bool, packed: bool) -> dict[str, float]:
    """Pitstop: from the store each time; `whole` is everything that /metrics tells, else requests only."""
    from pitstop.dashboard.export import exposition as module
    from pitstop.dashboard.export import registry
    from pitstop.dashboard.export.facts import SLOW_BOUNDS
    from pitstop.dashboard.export.families.http import LABELS, _request
    from pitstop.dashboard.export.text import TEXT_TYPE
    from pitstop.model.series import HTTP
    from pitstop.store import open_store

    if not whole:

        def only(facts: Facts) -> Iterator[Family]:
            name = "http_server_request_duration_seconds"
            yield facts.durations(name, "Duration.", HTTP, LABELS, _request, SLOW_BOUNDS)

        module.exporters = lambda: (("http", only),)
    registry.exporters()
    module.KEPT_S = 0.0
    store = open_store(f"sqlite:///{path}")
    newest = max(table.newest_s or 0 for table in store.size().tables if table.step_s == 1)
    made = module.Exposition(store, Clock(newest))
    before = rss_mib()

    def answer() -> Iterable[bytes]:  # as it is sent
        return [made.packed(TEXT_TYPE)] if packed else made.pieces(TEXT_TYPE)

    timed(answer)
    median, size, worst = timed(answer)
    after = rss_mib()
    return {
        "ms": median,
        "worst": worst,
        "bytes": size,
        "mib": after - before,
        "total": after,
        "lines": made.ourselves.samples,
    }


def theirs(folder: str, packed: bool) -> dict[str, float]:
    """prometheus-client, in one process, or in several by way of `folder`."""
    if folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    import prometheus_client
    from prometheus_client import multiprocess

    before = rss_mib()
    registry = prometheus_client.CollectorRegistry()
    if folder:
        multiprocess.MultiProcessCollector(registry)
    else:
        observe(registry)
    app = prometheus_client.make_wsgi_app(registry)
    environment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": "", "HTTP_ACCEPT_ENCODING": "gzip"}

    def answer() -> Iterable[bytes]:
        if packed:
            return app(environment, lambda *_: None)
        return [prometheus_client.generate_latest(registry)]

    timed(answer)
    median, size, worst = timed(answer)
    after = rss_mib()
    body = prometheus_client.generate_latest(registry)
    lines = sum(not line.startswith(b"#") for line in body.splitlines())
    return {"ms": median, "worst": worst, "bytes": size, "mib": after - before, "total": after, "lines": lines}


def observe(registry: object) -> None:
    """What a worker of prometheus-client holds."""
    import prometheus_client

    histogram = prometheus_client.Histogram(
        "http_server_request_duration_seconds", "Duration.",
        ["service_name", "http_request_method", "http_route", "http_response_status_code"],
        registry=registry, buckets=BOUNDS,
    )  # fmt: skip
    for route in range(ROUTES):
        for status in STATUSES:
            child = histogram.labels("shop", "GET", f"/route/{route}/{{id}}", status)
            for value in durations():
                child.observe(value)


def child(*arguments: str) -> dict[str, float]:
    """One side in a process of its own."""
    ran = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path, files = f"{folder}/pitstop.db", f"{folder}/prometheus"
        Path(files).mkdir()
        fill_store(path)
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": files}
        for _ in range(WORKERS):
            ran = subprocess.run(
                [sys.executable, __file__, "observe"], env=environment, check=True, capture_output=True, text=True
            )
            in_worker = float(ran.stdout)
        sides = {
            "Pitstop, the same families": ("ours", path, "same", "plain"),
            "prometheus-client, one process": ("theirs", "", "plain"),
            f"prometheus-client, {WORKERS} processes": ("theirs", files, "plain"),
            "Pitstop, the same families, gzip": ("ours", path, "same", "gzip"),
            "Pitstop, everything it tells, gzip": ("ours", path, "all", "gzip"),
            "prometheus-client, one process, gzip": ("theirs", "", "gzip"),
            f"prometheus-client, {WORKERS} processes, gzip": ("theirs", files, "gzip"),
        }
        rounds = [{name: child(*arguments) for name, arguments in sides.items()} for _ in range(3)]
        print(
            f"{'':<44} {'lines':>7} {'kB':>7} {'median ms':>10} {'worst ms':>9} {'added MiB':>10} {'process MiB':>12}"
        )
        best = {name: min((one[name] for one in rounds), key=lambda row: row["ms"]) for name in sides}
        for name, row in best.items():
            print(
                f"{name:<44} {row['lines']:>7.0f} {row['bytes'] / 1e3:>7.0f} {row['ms']:>10.1f} {row['worst']:>9.1f}"
                f" {row['mib']:>10.1f} {row['total']:>12.1f}"
            )
        plain, one, several, packed, _, one_packed, several_packed = best.values()
        print("\ntheirs over ours                      time  added memory")
        for what, theirs_, ours_ in (
            ("one process", one, plain),
            (f"{WORKERS} processes", several, plain),
            ("one process, gzip", one_packed, packed),
            (f"{WORKERS} processes, gzip", several_packed, packed),
        ):
            print(f"{what:<35} {theirs_['ms'] / ours_['ms']:>7.2f} {theirs_['mib'] / ours_['mib']:>13.2f}")
        all_of_theirs = WORKERS * in_worker + several_packed["mib"]
        print(
            f"in all {WORKERS} workers and where it is asked: {all_of_theirs:.1f} MiB, ours {packed['mib']:.1f} MiB, "
            f"ratio {all_of_theirs / packed['mib']:.2f}"
        )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ours", path, what, form]:
            print(json.dumps(ours(path, what == "all", form == "gzip")))
        case ["theirs", folder, form]:
            print(json.dumps(theirs(folder, form == "gzip")))
        case ["observe"]:
            import prometheus_client

            began = rss_mib()
            observe(prometheus_client.CollectorRegistry())
            print(rss_mib() - began)
        case _:
            main()
