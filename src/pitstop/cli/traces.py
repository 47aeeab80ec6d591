"""``pitstop traces``: the requests that were kept with everything that happened in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, contract_inside, terminal
from pitstop.cli.options import AsJson, From, Last, Route, Service, StoreUrl, To, opened, store_url, window_now
from pitstop.model.errors import SettingError
from pitstop.model.trace import REASONS, TraceMatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.analyze import TraceRow

_COLUMNS = (
    terminal.Column("trace", left=True),
    terminal.Column("began", left=True),
    terminal.Column("route", name=True),
    terminal.Column("ms"),
    terminal.Column("out"),
    terminal.Column("why", left=True),
    terminal.Column("spans", spare=True),
)
_SHOWN_ID = 12  # digits of a trace id: enough to tell a day's apart, and `pitstop trace` finds it by them


def traces(
    *,
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    route: Route = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="WHY", help=f"Only those kept for: {', '.join(REASONS)}.")
    ] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", metavar="STATUS", help="Only these: 500 …")] = None,
    least_s: Annotated[float | None, typer.Option("--min", min=0, metavar="SECONDS", help="At least so long.")] = None,
    below_s: Annotated[float | None, typer.Option("--max", min=0, metavar="SECONDS", help="Shorter than that.")] = None,
    slowest: Annotated[bool, typer.Option("--slowest", help="The slowest first; default the newest.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Kept requests: slow, failed, with N+1 queries, and one plain sample a route and minute."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    if reason is not None and reason not in REASONS:
        raise SettingError(f"'{reason}' is no reason to keep a trace; there are {', '.join(REASONS)}")
    window = window_now(last, begin, end)
    match = TraceMatch(service, route, reason, outcome, _ns(least_s), _ns(below_s))
    with opened(store) as kept:
        rows = analyze.traces(kept, window, service, match, limit=limit, slowest=slowest)
    if as_json:
        terminal.print_json(contract.document(window, service, traces=[contract_inside.trace(row) for row in rows]))
        return
    terminal.say(terminal.title(service, window), style="bold")
    if rows:
        print_traces(rows)
        terminal.say("One of them in full: pitstop trace ID")
    else:
        terminal.say(terminal.nothing_of("traces", store_url(store)))


def print_traces(rows: Sequence[TraceRow]) -> None:
    """The table of traces."""
    from pitstop.analyze import units  # noqa: PLC0415

    terminal.print_table(
        _COLUMNS,
        [
            (
                row.trace_id[:_SHOWN_ID],
                units.time_text(row.started_at)[5:-1].replace("T", " "),
                row.route,
                units.milliseconds_text(row.duration_s),
                row.outcome,
                row.reason,
                units.count_text(row.spans + row.left_out),
            )
            for row in rows
        ],
    )


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)
