"""What `analyze` finds: statements repeated in requests, errors never seen before, a health score that fell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.analyze.errors import errors
from pitstop.analyze.health import health
from pitstop.analyze.n_plus_one import n_plus_one
from pitstop.analyze.units import cut_middle, duration_text, figures, length_text
from pitstop.watch.conditions.reading import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

FALL = 15.0  # points: about one and a half letters
LEAST_REQUESTS = 5
_WIDTH = 120


def read(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading a finding."""
    services = [name for name in sight.services() if rule.watches(name)]
    find = {"n_plus_one": _repeated, "new_error": _new_errors, "health": _health}[str(rule.wanted["finding"])]
    return [reading for service in services for reading in find(rule, sight, service)]


def _repeated(rule: Rule, sight: Sight, service: str) -> list[Reading]:
    return [
        Reading(
            {"service": service, "route": row.route, "statement": cut_middle(row.statement, _WIDTH)},
            row.requests >= max(rule.least_events, LEAST_REQUESTS),
            row.requests < max(rule.least_events, LEAST_REQUESTS),
            float(row.count),
            None,
            "statements",
            f"{row.route} runs '{cut_middle(row.statement, _WIDTH)}' {row.count} times in a request, "
            f"{duration_text(row.per_request_s)} each{f', at {row.line}' if row.line else ''}",
        )
        for row in n_plus_one(sight.store, sight.window(rule.over_s), service)
        if rule.concerns(service=service, route=row.route)
    ]


def _new_errors(rule: Rule, sight: Sight, service: str) -> list[Reading]:
    window = sight.window(rule.over_s)
    return [
        Reading(
            {"service": service, "route": row.route, "error": row.type, "fingerprint": row.fingerprint},
            row.count >= max(1, rule.least_events),
            row.count < max(1, rule.least_events),
            float(row.count),
            None,
            "errors",
            f"{row.type} in {row.route or 'no route'}, never seen before{f', at {row.line}' if row.line else ''}",
        )
        for row in errors(sight.store, window, service)
        if row.is_new and rule.concerns(service=service, route=row.route)
    ]


def _health(rule: Rule, sight: Sight, service: str) -> list[Reading]:
    """Now against the window of equal length a day before, or just before where that has nothing."""
    window = sight.window(rule.over_s)
    now = health(sight.store, window, service)
    before = health(sight.store, window.before(86_400), service)
    if before.score is None:
        before = health(sight.store, window.before(), service)
    if now.score is None or before.score is None:
        return []
    limit = FALL if rule.above is None else rule.above
    fall = before.score - now.score
    text = (
        f"the health of {service} is {now.letter} ({figures(now.score)}), it was {before.letter} "
        f"({figures(before.score)}) before, over {length_text(rule.over_s)}"
    )
    return [Reading({"service": service}, fall > limit, fall <= limit / 2, fall, limit, "points", text)]


KIND = Kind(
    "finding",
    read,
    "what analysis finds: n_plus_one, new_error, health",
    keys=frozenset({"finding", "service", "routes", "over", "least_events", "above"}),
    defaults={"over": "15m", "every": "1m", "least_events": 0},
    needs=("finding",),
)
