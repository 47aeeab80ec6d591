"""``pitstop runtime``: memory, CPU, garbage collection and the rest of every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.cli import contract, terminal
from pitstop.cli.options import AsJson, From, Last, Service, StoreUrl, To, opened, store_url, window_now

if TYPE_CHECKING:
    from pitstop.analyze import Gauge, Runtime

_COLUMNS = (
    terminal.Column("worker", name=True),
    terminal.Column("memory MB"),
    terminal.Column("peak MB"),
    terminal.Column("CPU %"),
    terminal.Column("GC max ms"),
    terminal.Column("lag max ms"),
    terminal.Column("threads"),
    terminal.Column("files"),
)


def runtime(
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    as_json: AsJson = False,
) -> None:
    """Memory, CPU, garbage collection, event loop, threads and files of every worker: the last value of each."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    window = window_now(last, begin, end)
    with opened(store) as kept:
        seen = analyze.runtime(kept, window, service)
    if as_json:
        terminal.print_json(contract.document(window, service, runtime=contract.runtime(seen)))
        return
    terminal.say(terminal.title(service, window), style="bold")
    if seen.gauges:
        terminal.print_table(_COLUMNS, [_row(seen, worker) for worker in seen.workers])
    else:
        terminal.say(f"No worker has reported in this window in {store_url(store)}.\nRecord one: pitstop run -- CMD")


def _row(seen: Runtime, worker: str) -> tuple[str, ...]:
    from pitstop.analyze import units  # noqa: PLC0415  numpy
    from pitstop.analyze.runtime import (  # noqa: PLC0415  numpy
        CPU_RATIO,
        GC_PAUSE_MAX_S,
        LOOP_LAG_S,
        OPEN_FILES,
        PEAK_BYTES,
        RSS_BYTES,
        THREADS,
    )

    gauges = seen.worker(worker)

    def last(name: str, times: float = 1) -> str:
        gauge: Gauge | None = gauges.get(name)
        return units.NO_DATA if gauge is None else units.figures(gauge.last * times)

    def highest(name: str, times: float) -> str:
        gauge: Gauge | None = gauges.get(name)
        return units.NO_DATA if gauge is None else units.figures(gauge.highest * times)

    return (
        worker,
        last(RSS_BYTES, 1e-6),
        last(PEAK_BYTES, 1e-6),
        last(CPU_RATIO, 100),
        highest(GC_PAUSE_MAX_S, 1e3),
        highest(LOOP_LAG_S, 1e3),
        last(THREADS),
        last(OPEN_FILES),
    )
