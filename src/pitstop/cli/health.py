"""``pitstop health``: the grade and its parts; with a threshold, a gate."""

from __future__ import annotations

from typing import Annotated

import typer

from pitstop.cli import COULD_NOT, FINDING, contract, terminal
from pitstop.cli.options import AsJson, From, Last, Service, StoreUrl, To, opened, store_url, window_now

_COLUMNS = (
    terminal.Column("part", left=True),
    terminal.Column("score"),
    terminal.Column("weight %"),
    terminal.Column("why", name=True),
)


def health(
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    fail_under: Annotated[
        float | None, typer.Option("--fail-under", min=0, max=100, metavar="SCORE", help="Exit 1 below this score.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score of 0 … 100 with its letter: 40 % latency, 30 % cache, 30 % errors."""
    from pitstop import analyze  # noqa: PLC0415  numpy
    from pitstop.analyze import units  # noqa: PLC0415

    window = window_now(last, begin, end)
    with opened(store) as kept:
        seen = analyze.health(kept, window, service)
    if as_json:
        terminal.print_json(contract.document(window, service, health=contract.health(seen)))
    else:
        terminal.say(terminal.title(service, window), style="bold")
        if seen.score is None:
            terminal.say(terminal.nothing_recorded(store_url(store)))
        else:
            terminal.say(f"{seen.letter}  {units.figures(seen.score)} of 100  ({seen.note})")
            terminal.print_table(
                _COLUMNS,
                [
                    (
                        part.name,
                        units.NO_DATA if part.score is None else units.figures(part.score),
                        units.figures(part.weight * 100),
                        part.note,
                    )
                    for part in seen.parts
                ],
            )
    if fail_under is not None:
        if seen.score is None:
            typer.echo("pitstop: nothing was recorded in this window, so there is no score to hold against", err=True)
            raise typer.Exit(COULD_NOT)
        if seen.score < fail_under:
            typer.echo(f"pitstop: health {units.figures(seen.score)} is below {units.figures(fail_under)}", err=True)
            raise typer.Exit(FINDING)
