"""``pitstop slo``: every objective, how much of its error budget is left, and when it will be spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import FINDING, contract, contract_watch, terminal
from pitstop.cli.options import AsJson, Service, StoreUrl  # noqa: TC001  typer reads the annotations
from pitstop.cli.watched import watched
from pitstop.model.watching import FIRING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.watching import SloState

_COLUMNS = (
    terminal.Column("objective", name=True),
    terminal.Column("target"),
    terminal.Column("met"),
    terminal.Column("left"),
    terminal.Column("burns"),
    terminal.Column("window", left=True, spare=True),
    terminal.Column("state", left=True),
)


def slo(
    store: StoreUrl = None,
    service: Service = None,
    points: Annotated[
        bool, typer.Option("--points", help="With --json: the budget left over each window, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Objectives with their error budgets, each over its own window up to now; exit 1 when one is spent or burns."""
    with watched(store) as watch:
        states = watch.slos(service=service, points=points)
    if as_json:
        terminal.print_json(
            contract.document(
                None, service=service, slos=[contract_watch.slo(state, points=points) for state in states]
            )
        )
    elif states:
        print_slos(states)
    else:
        terminal.say("There is no objective yet: every service that was recorded gets four.")
        terminal.say("Record one: pitstop run -- CMD. Your own are [[slo]] in pitstop-rules.toml.")
    if any(_is_bad(state) for state in states):
        raise typer.Exit(FINDING)


def print_slos(states: Sequence[SloState]) -> None:
    """The table, and in words what is spent or burns."""
    from pitstop.analyze import units  # noqa: PLC0415  numpy

    terminal.print_table(
        _COLUMNS,
        [
            (
                _name(state),
                units.ratio_text(state.target),
                units.ratio_text(state.ratio),
                left_text(state.budget_left),
                _burns(state),
                state.window_text,
                state.state,
            )
            for state in states
        ],
    )
    for state in states:
        lasts_s = state.runs_out_s if (state.budget_left or 0) > 0 else None
        if state.state == FIRING or (lasts_s is not None and (_rate(state) or 0) > 1):
            out = "" if lasts_s is None else f" It is spent at {units.time_text(lasts_s)} at this rate."
            terminal.say(f"{'▲' if state.state == FIRING else '!'} {_name(state)}: {state.summary}{out}")


def left_text(left: float | None) -> str:
    """A share of the budget, with a sign when it is overspent."""
    from pitstop.analyze import units  # noqa: PLC0415

    return f"−{units.ratio_text(-left)}" if left is not None and left < 0 else units.ratio_text(left)


def _name(state: SloState) -> str:
    service = state.labels.get("service", "")
    return state.name if not service or service in state.name else f"{state.name} · {service}"


def _rate(state: SloState) -> float | None:
    """How fast it burns over the shortest of the long windows, an hour unless configured otherwise."""
    return min(state.burns, key=lambda burn: burn.long_s).long_rate if state.burns else None


def _burns(state: SloState) -> str:
    from pitstop.analyze import units  # noqa: PLC0415

    rate = _rate(state)
    return units.NO_DATA if rate is None else f"×{units.figures(rate, 2)}"


def _is_bad(state: SloState) -> bool:
    return state.state == FIRING or (state.budget_left is not None and state.budget_left <= 0)
