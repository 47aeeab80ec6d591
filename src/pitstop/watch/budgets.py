"""How much of every error budget is left, how fast it is being spent, and when it will be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.units import count_text, duration_text, figures, ratio_text
from pitstop.model import Window
from pitstop.model.watching import DEGRADED, FIRING, NO_DATA, OK, Burn, SloState
from pitstop.watch.burn import LONGEST_S, PAIRS, Outcomes, burns, settled_s, window_to
from pitstop.watch.calendar import CALENDARS, budget_window
from pitstop.watch.objectives import FRESHNESS, LATENCY, PROBED
from pitstop.watch.outcomes import courses, pieces_of
from pitstop.watch.thresholds import border_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model import Store
    from pitstop.watch.bins import Course, Kept
    from pitstop.watch.objectives import Objective

MOST_POINTS = 130  # of a burn-down: 30 days in steps of six hours
HOUR_S = 3600
TRAFFIC_S = 7 * 86_400  # what is to come in a calendar's window is taken to be as busy as the last week was
_STEPS_S = (60, 300, 600, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 86_400, 7 * 86_400)


class Burning(NamedTuple):
    """One scope of an objective and its burn rates, for a rule."""

    objective: Objective
    labels: dict[str, str]
    burns: list[Burn]


def slo_states(
    store: Store, objectives: Sequence[Objective], now_s: float, *, points: bool = False, kept: Kept | None = None
) -> list[SloState]:
    """Every scope of every objective, the least budget left first, those without data last.

    A read of the store for each piece between the borders of all windows: about ten for any number of objectives.
    Whoever asks again and again passes the same `kept`. Raises StoreError.
    """
    if not objectives:
        return []
    end_s = settled_s(now_s)
    spans = {objective.window: budget_window(objective.window, end_s) for objective in objectives}
    borders = {end_s, *_burn_borders(end_s), *(span.start_s for span in spans.values())}
    if any(text in CALENDARS for text in spans):
        borders.add(window_to(end_s, TRAFFIC_S).start_s)
    step_s = _point_step_s(max(end_s - span.start_s for span in spans.values())) if points else None
    pieces = pieces_of((border for border in borders if border <= end_s), step_s)
    edges = sorted({edge for piece in pieces for edge in _edges(piece.window, piece.step_s)})
    states = [
        _state(course, spans[course.scope.objective.window], end_s, edges if points else ())
        for course in courses(store, objectives, pieces, kept)
    ]
    return sorted(states, key=lambda state: (state.budget_left is None, state.budget_left or 0, state.name))


def burning(store: Store, objectives: Sequence[Objective], now_s: float) -> list[Burning]:
    """Burn rates of every scope now, from the last three days only. Raises StoreError."""
    wanted = [objective for objective in objectives if objective.alert]
    if not wanted:
        return []
    end_s = settled_s(now_s)
    found = courses(store, wanted, pieces_of({end_s, *_burn_borders(end_s)}))
    return [
        Burning(course.scope.objective, dict(course.scope.labels), burns(course.read, course.scope.objective, end_s))
        for course in found
    ]


def history(store: Store, objectives: Sequence[Objective], window: Window, step_s: int) -> list[Course]:
    """What `burns` needs at any moment of `window`, for a replay: bins of `step_s`, from three days before.

    `step_s` should divide the moments that are looked at; 10 s are kept for 48 hours, minutes for two weeks.
    Raises StoreError.
    """
    start_s = window_to(window.start_s // step_s * step_s, LONGEST_S).start_s // HOUR_S * HOUR_S
    wanted = [objective for objective in objectives if objective.alert]
    return courses(store, wanted, pieces_of((start_s, window.end_s), step_s)) if wanted else []


def _burn_borders(end_s: int) -> list[int]:
    lengths = {length for pair in PAIRS for length in (pair.long_s, pair.short_s)}
    return [window_to(end_s, length_s).start_s for length_s in lengths]


def _point_step_s(length_s: int) -> int:
    return next((step for step in _STEPS_S if length_s <= step * MOST_POINTS), _STEPS_S[-1])


def _edges(window: Window, step_s: int | None) -> list[int]:
    inner = range(window.start_s // step_s * step_s + step_s, window.end_s, step_s) if step_s else ()
    return [window.start_s, *inner, window.end_s]


def _state(course: Course, span: Window, end_s: int, edges: Sequence[int]) -> SloState:
    objective = course.scope.objective
    found = course.read(Window(span.start_s, end_s))
    left = runs_out_s = None
    if found.total:
        allowed = (1 - objective.target) * _expected(course, span, end_s, found)
        left = 1 - (found.total - found.good) / allowed
        runs_out_s = _runs_out_s(course, span, end_s, left, allowed)
    burn = burns(course.read, objective, end_s) if objective.alert else []
    points: list[tuple[int, float | None]] = []
    if found.total:
        for edge in edges:
            if span.start_s <= edge <= end_s:
                so_far = course.read(Window(span.start_s, edge))
                points.append((edge, 1 - (so_far.total - so_far.good) / allowed))
    return SloState(
        name=objective.name,
        kind=objective.kind,
        labels=course.scope.labels,
        target=objective.target,
        threshold_s=objective.threshold_s,
        window=span,
        window_text=objective.window,
        good=found.good,
        total=found.total,
        ratio=found.good / found.total if found.total else None,
        budget_left=left,
        runs_out_s=runs_out_s,
        burns=burn,
        state=_state_word(left, burn),
        summary=summary_of(objective, found, left),
        points=points,
    )


def _expected(course: Course, span: Window, end_s: int, found: Outcomes) -> float:
    """Events of the whole window: of a calendar's, what was, and for the rest as many as in the last week."""
    if span.end_s <= end_s:
        return found.total
    week = window_to(end_s, TRAFFIC_S)
    return found.total + course.read(week).total / week.duration_s * (span.end_s - end_s)


def _runs_out_s(course: Course, span: Window, end_s: int, left: float, allowed: float) -> float | None:
    """When the budget is gone if the last hour goes on; None when a calendar's window ends before, or it lasts."""
    if left <= 0:
        return float(end_s)
    hour = window_to(end_s, HOUR_S)
    last = course.read(hour)
    bad = last.total - last.good
    if not bad:
        return None
    gone_s = end_s + left * allowed * hour.duration_s / bad
    if span.end_s > end_s:
        return gone_s if gone_s < span.end_s else None
    # What leaves a rolling window gives budget back, and what comes brings its own: it lasts where no more is spent.
    earned = (1 - course.scope.objective.target) * last.total
    return gone_s if bad > earned and bad / hour.duration_s * span.duration_s > allowed else None


def _state_word(left: float | None, burn: Sequence[Burn]) -> str:
    if left is None:
        return NO_DATA
    if any(one.firing for one in burn):
        return FIRING
    return DEGRADED if left <= 0 else OK


def summary_of(objective: Objective, found: Outcomes, left: float | None) -> str:
    """One sentence for a person: what was promised, what came of it, what is left, and how exact that is."""
    promise = {
        LATENCY: f"{ratio_text(objective.target)} within {duration_text(objective.threshold_s)}",
        FRESHNESS: f"{ratio_text(objective.target)} of the time no older than {duration_text(objective.threshold_s)}",
        PROBED: f"{ratio_text(objective.target)} of probes succeed",
    }.get(objective.kind, f"{ratio_text(objective.target)} without error")
    if left is None:
        return f"Promised: {promise}. Nothing was recorded in this window."
    bad, text_of = found.total - found.good, duration_text if objective.kind == FRESHNESS else count_text
    what = f"{text_of(bad)} of {text_of(found.total)}"
    budget = f"{ratio_text(left)} of the budget is left" if left > 0 else "the budget is spent"
    if left < 0:
        budget = f"{figures(1 - left)} times the budget is spent"
    text = f"Promised: {promise}; {what} did not; {budget}."
    if objective.kind == LATENCY and objective.threshold_s:
        border = border_of(objective.threshold_s)
        if border.off_ratio:
            text += (
                f" Read at {duration_text(border.read_s)}, the histogram's border next to it"
                f" ({ratio_text(abs(border.off_ratio))} {'above' if border.off_ratio > 0 else 'below'})."
            )
    return text
