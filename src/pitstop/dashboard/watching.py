"""What the pages and calls about alerts ask of whoever watches, and what they say where nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import Depends, Request

from pitstop.dashboard.desk import Desk, desk_of
from pitstop.dashboard.faults import RefusalError
from pitstop.dashboard.states import is_quiet, labels_text
from pitstop.model import PitstopError, Window
from pitstop.model.watching import FIRING, INFO, PENDING, SEVERITIES, Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.model.watching import Incident, SloState

NOBODY = "nobody watches this store from here"
START = "pitstop serve"  # what to type
OPEN = (FIRING, PENDING)
MOST_LANES = 20  # rules in the timeline; the table has them all
LEAST_WIDTH = 3.0  # of 1000: an incident of a second is seen, too
_KEPT_S = 1.0


def watcher(request: Request) -> Watch:
    """Whoever watches. Raises 404 where nobody does."""
    watch = desk_of(request).watch
    if watch is None:
        raise RefusalError(404, "nobody_watches", NOBODY, next_step=f"open the dashboard that '{START}' shows")
    return watch


Watching = Annotated[Watch, Depends(watcher)]


def open_incidents(desk: Desk, service: str | None = None) -> list[Incident]:
    """Those that are firing now, and those that are about to, what pages first; [] where nobody can be asked."""
    if desk.watch is None:
        return []
    watch, now_s = desk.watch, int(desk.clock.now_s())

    def ask() -> list[Incident]:
        try:
            return urgent(
                one for one in watch.incidents(Window(now_s - 1, now_s + 1), service=service) if one.state in OPEN
            )
        except PitstopError:
            return []  # the other pages do not end with the watcher; its own say what is wrong

    return desk.answers.once(("open incidents", service), _KEPT_S, ask)


def urgent(incidents: Iterable[Incident]) -> list[Incident]:
    """What needs somebody first: firing before pending, told before silenced, pages before tickets, then the newest."""
    return sorted(
        incidents,
        key=lambda one: (
            one.state != FIRING,
            is_quiet(one),
            SEVERITIES.index(one.severity) if one.severity in SEVERITIES else len(SEVERITIES),
            -one.began_s,
        ),
    )


def needing(incidents: Iterable[Incident]) -> int:
    """How many want somebody now; what is only told wants nobody."""
    return sum(1 for one in incidents if one.state == FIRING and one.severity != INFO and not is_quiet(one))


class Bar(NamedTuple):
    """One incident in its lane: place and width of 1000."""

    x: float
    width: float
    incident: Incident


class Lane(NamedTuple):
    """What one rule found in the window."""

    rule: str
    bars: list[Bar]
    total_s: float


def lanes(incidents: Sequence[Incident], window: Window, now_s: float) -> list[Lane]:
    """The timeline: a lane a rule, the one that fired for longest first. What never fired is left out."""
    found: dict[str, list[Incident]] = {}
    for one in incidents:
        if one.fired_s is not None:
            found.setdefault(one.rule, []).append(one)
    span_s = max(1, window.duration_s)
    made = []
    for rule, ones in found.items():
        bars, total_s = [], 0.0
        for one in sorted(ones, key=lambda one: one.fired_s or 0.0):
            start_s = max(window.start_s, one.fired_s or 0.0)
            end_s = max(start_s, min(window.end_s, one.ended_s if one.ended_s is not None else now_s))
            total_s += end_s - start_s
            width = max(LEAST_WIDTH, 1000 * (end_s - start_s) / span_s)
            bars.append(Bar(round(min(1000 - width, 1000 * (start_s - window.start_s) / span_s), 2), width, one))
        made.append(Lane(rule, bars, total_s))
    return sorted(made, key=lambda lane: (-lane.total_s, lane.rule))


def key_of(state: SloState) -> str:
    """What tells one objective from another of the same name."""
    return labels_text(state.labels, ("slo",))
