"""A service that had traffic and has none any more.

*Had*: in the hour up to its last traffic, the median of windows of the rule's length held `least_events` or more, so
that neither a quiet night nor a single burst counts. What is silent every day or every week at this time (and was not
before) is silent on purpose. After `FORGOTTEN_S` a service is taken to be gone for good.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from pitstop.analyze.units import count_text, duration_text, length_text
from pitstop.model.window import Window
from pitstop.watch.conditions.reading import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

USUAL_S = 3600  # how much traffic before the silence says what was usual
FORGOTTEN_S = 86_400
DAY_S = 86_400
WEEK_S = 7 * 86_400


def read(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading a service that is known."""
    window = sight.window(rule.over_s)
    counts = _counts(rule, sight, window)
    named = {name for name in rule.service if not set("*?[") & set(name)}
    out = []
    for service in sorted(set(sight.services()) | named | set(counts)):
        if not rule.watches(service) and service not in counts:
            continue
        count = counts.get(service, 0)
        usual, last_s = (0.0, 0) if count else _usual(rule, sight, service, window)
        hot = not count and usual >= rule.least_events
        text = f"{service} has {count_text(count)} requests in {length_text(rule.over_s)}"
        if hot:
            silent_s = window.end_s - last_s
            text = f"{service} is silent for {duration_text(silent_s)}; it had {count_text(usual)} requests in "
            text += length_text(rule.over_s)
        out.append(Reading({"service": service}, hot, not hot, float(count), 0.0, "requests", text))
    return out


def _counts(rule: Rule, sight: Sight, window: Window, service: str | None = None) -> dict[str, int]:
    rows = sight.rollups(window, kind=rule.series, service=service, hist=False)
    counts: dict[str, int] = {}
    for series, number in zip(rows.series, rows.count, strict=True):
        if rule.concerns(service=series.service, route=series.name, tenant=series.tenant, outcome=series.outcome):
            counts[series.service] = counts.get(series.service, 0) + number
    return counts


def _usual(rule: Rule, sight: Sight, service: str, window: Window) -> tuple[float, int]:
    """What a window held before the silence, and when that began; 0 where silence is usual. Asked once a window."""
    end_s = window.end_s // rule.over_s * rule.over_s
    key = ("no_data", rule.series, rule.routes, rule.tenant, rule.outcome, rule.over_s, service, end_s)
    return sight.keep(key, lambda: _looked_up(rule, sight, service, end_s))


def _looked_up(rule: Rule, sight: Sight, service: str, end_s: int) -> tuple[float, int]:
    # from `end_s` on there is nothing: that lies within the window that was found empty
    over_s = rule.over_s
    buckets = _buckets(rule, sight, service, Window(end_s - 2 * DAY_S - USUAL_S, end_s))
    recent = [ts for ts in buckets if ts >= end_s - FORGOTTEN_S]
    if not recent:
        return 0.0, 0
    last_s = max(recent)
    number = max(1, USUAL_S // over_s)
    usual = float(median(buckets.get(last_s - i * over_s, 0) for i in range(number)))
    if usual < rule.least_events:
        return 0.0, 0
    yesterday_s = end_s - DAY_S
    if yesterday_s not in buckets and any(yesterday_s - DAY_S <= ts < yesterday_s for ts in buckets):
        return 0.0, 0
    week_ago_s = end_s - WEEK_S
    then = _buckets(rule, sight, service, Window(week_ago_s - DAY_S, week_ago_s + over_s))
    if then and week_ago_s not in then:
        return 0.0, 0
    return usual, last_s + over_s


def _buckets(rule: Rule, sight: Sight, service: str, window: Window) -> dict[int, int]:
    rows = sight.rollups(window, kind=rule.series, service=service, step_s=rule.over_s, hist=False)
    found: dict[int, int] = {}
    for ts, series, number in zip(rows.ts, rows.series, rows.count, strict=True):
        if window.start_s <= ts < window.end_s and rule.concerns(
            service=series.service, route=series.name, tenant=series.tenant, outcome=series.outcome
        ):
            bucket = ts // rule.over_s * rule.over_s
            found[bucket] = found.get(bucket, 0) + number
    return found


KIND = Kind(
    "no_data",
    read,
    "a service that had traffic and has none any more",
    keys=frozenset({"series", "service", "routes", "tenant", "outcome", "over", "least_events"}),
    defaults={"over": "5m", "least_events": 20},
)
