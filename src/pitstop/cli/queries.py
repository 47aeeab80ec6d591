"""``pitstop queries``: the statements that take the database's time, and those that requests repeat."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, contract_inside, terminal
from pitstop.cli.options import AsJson, From, Last, Route, Service, StoreUrl, To, opened, store_url, window_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.analyze import NPlusOneRow, QueryRow

_COLUMNS = (
    terminal.Column("statement", name=True),
    terminal.Column("time %"),
    terminal.Column("calls"),
    terminal.Column("err", spare=True),
    terminal.Column("total s"),
    terminal.Column("mean ms"),
    terminal.Column("P95 ms"),
    terminal.Column("rows/call", spare=True),
    terminal.Column("routes", spare=True),
)


class Order(StrEnum):
    """What to sort by; the largest first."""

    TIME = "time"
    CALLS = "calls"
    MEAN = "mean"
    P95 = "p95"
    ROWS = "rows"
    ERRORS = "errors"


_KEYS: dict[Order, Callable[[QueryRow], float]] = {
    Order.TIME: lambda row: row.total_s,
    Order.CALLS: lambda row: row.calls,
    Order.MEAN: lambda row: row.mean_s,
    Order.P95: lambda row: row.p95_s or 0.0,
    Order.ROWS: lambda row: row.rows,
    Order.ERRORS: lambda row: row.errors,
}


def queries(
    *,
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    route: Route = None,
    sort: Annotated[Order, typer.Option("--sort", help="The largest first.")] = Order.TIME,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many statements.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every statement with calls, time, rows and the routes that run it; and suspected N+1 queries."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    window = window_now(last, begin, end)
    with opened(store) as kept:
        rows = analyze.queries(kept, window, service, route)
        repeated = analyze.n_plus_one(kept, window, service, route)
    rows = sorted(rows, key=_KEYS[sort], reverse=True)[:limit]
    if as_json:
        terminal.print_json(
            contract.document(
                window,
                service,
                queries=[contract_inside.query(row) for row in rows],
                n_plus_one=[contract_inside.n_plus_one(row) for row in repeated],
            )
        )
        return
    terminal.say(terminal.title(service, window), style="bold")
    if not rows:
        terminal.say(terminal.nothing_of("statements", store_url(store)))
        return
    print_queries(rows)
    if repeated:
        terminal.say()
        print_n_plus_one(repeated)


def print_queries(rows: Sequence[QueryRow]) -> None:
    """The table of statements."""
    from pitstop.analyze import units  # noqa: PLC0415

    terminal.print_table(
        _COLUMNS,
        [
            (
                row.statement,
                units.figures(row.time_ratio * 100, 2),
                units.count_text(row.calls),
                units.count_text(row.errors),
                units.figures(row.total_s),
                units.milliseconds_text(row.mean_s),
                units.milliseconds_text(row.p95_s),
                units.count_text(row.rows_per_call),
                str(len(row.routes)),
            )
            for row in rows
        ],
    )


def print_n_plus_one(rows: Sequence[NPlusOneRow]) -> None:
    """A few lines for each repeated statement: where, how often, what for, what to do."""
    from pitstop.analyze import units  # noqa: PLC0415

    terminal.say("suspected N+1 queries", style="bold")
    for row in rows:
        share = "" if row.requests_ratio is None else f" in {units.ratio_text(row.requests_ratio)} of requests"
        took = units.duration_text(row.per_request_s)
        terminal.say(f"! {row.route}: {row.count} times a request, {took} each time{share}")
        terminal.say_indented(row.statement)
        if row.line:
            terminal.say_indented(f"at {row.line}")
        terminal.say_indented(row.hint)
