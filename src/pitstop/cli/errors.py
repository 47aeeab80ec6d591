"""``pitstop errors``: what goes wrong, where in the code, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, contract_inside, terminal
from pitstop.cli.options import AsJson, From, Last, Route, Service, StoreUrl, To, opened, window_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.analyze import ErrorRow


def errors(
    *,
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    route: Route = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Print the stack of each, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Exceptions that requests did not survive, by cause and route, counted exactly."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    window = window_now(last, begin, end)
    with opened(store) as kept:
        rows = analyze.errors(kept, window, service, route)[:limit]
    if as_json:
        terminal.print_json(contract.document(window, service, errors=[contract_inside.error(row) for row in rows]))
        return
    terminal.say(terminal.title(service, window), style="bold")
    if rows:
        print_errors(rows, stack=stack)
    else:
        terminal.say("No request failed with an exception in this window.")


def print_errors(rows: Sequence[ErrorRow], *, stack: bool = False) -> None:
    """A line or two for each cause: what, how often, where it was raised."""
    from pitstop.analyze import units  # noqa: PLC0415

    for row in rows:
        new = ", new" if row.is_new else ""
        seen = units.time_text(row.last_s)[5:-1].replace("T", " ")
        times = "once" if row.count == 1 else f"{units.count_text(row.count)} times"
        terminal.say(f"▲ {row.type} in {row.route}: {times}{new}, last {seen} UTC")
        if row.message:
            terminal.say_indented(row.message)
        if row.line:
            terminal.say_indented(f"at {row.line}")
        if stack:
            for frame in row.stack.splitlines():
                terminal.say_indented(frame, by=4)
        if row.trace_id:
            terminal.say_indented(f"pitstop trace {row.trace_id}")
