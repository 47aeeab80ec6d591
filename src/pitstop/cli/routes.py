"""``pitstop routes``: every route, the one that takes most of the users' time first."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, terminal
from pitstop.cli.options import AsJson, From, Last, Service, StoreUrl, To, opened, store_url, window_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.analyze import RouteRow

_COLUMNS = (
    terminal.Column("route", name=True),
    terminal.Column("time %"),
    terminal.Column("requests"),
    terminal.Column("err %"),
    terminal.Column("mean ms", spare=True),
    terminal.Column("P95 ms"),
    terminal.Column("P99 ms"),
    terminal.Column("status", left=True),
)


class Order(StrEnum):
    """What to sort by; the largest first."""

    TIME = "time"
    REQUESTS = "requests"
    ERRORS = "errors"
    MEAN = "mean"
    P95 = "p95"
    P99 = "p99"


_KEYS: dict[Order, Callable[[RouteRow], float]] = {
    Order.TIME: lambda row: row.stats.total_s or 0.0,
    Order.REQUESTS: lambda row: row.stats.requests,
    Order.ERRORS: lambda row: row.stats.error_ratio or 0.0,
    Order.MEAN: lambda row: row.stats.mean_s or 0.0,
    Order.P95: lambda row: row.stats.p95_s or 0.0,
    Order.P99: lambda row: row.stats.p99_s or 0.0,
}


def routes(
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    sort: Annotated[Order, typer.Option("--sort", help="The largest first.")] = Order.TIME,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many routes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every route with its percentiles, errors, severity and share of the users' time."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    window = window_now(last, begin, end)
    with opened(store) as kept:
        rows = analyze.routes(kept, window, service)
    rows = sorted(rows, key=_KEYS[sort], reverse=True)[:limit]
    if as_json:
        terminal.print_json(contract.document(window, service, routes=[contract.route(row) for row in rows]))
        return
    terminal.say(terminal.title(service, window), style="bold")
    if rows:
        print_routes(rows)
    else:
        terminal.say(terminal.nothing_recorded(store_url(store)))


def print_routes(rows: Sequence[RouteRow]) -> None:
    """The table of routes."""
    from pitstop.analyze import units  # noqa: PLC0415

    terminal.print_table(
        _COLUMNS,
        [
            (
                row.route,
                units.figures(row.time_ratio * 100, 2),
                units.count_text(row.stats.requests),
                units.figures((row.stats.error_ratio or 0.0) * 100, 2),
                units.milliseconds_text(row.stats.mean_s),
                units.milliseconds_text(row.stats.p95_s),
                units.milliseconds_text(row.stats.p99_s),
                row.severity,
            )
            for row in rows
        ],
    )
