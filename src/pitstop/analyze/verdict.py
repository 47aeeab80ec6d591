"""What is wrong now, in a sentence or two for the head of the page. Says only what the figures show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pitstop.analyze.compare import FEWEST_REQUESTS, compare
from pitstop.analyze.routes import routes
from pitstop.analyze.severity import SLOW_FROM_S
from pitstop.analyze.stats import NO_DATA
from pitstop.analyze.units import duration_text, ratio_text

if TYPE_CHECKING:
    from pitstop.analyze.compare import Comparison
    from pitstop.analyze.routes import RouteRow
    from pitstop.model import Store, Window

ERROR_OBJECTIVE = 0.001  # R34: error rate below 0.1 %
FEWEST_ERRORS = 3  # one failure alone is an incident for the log, not a state of the service
_MOST_NAMED = 2

Tone = Literal["fine", "warning", "bad", "no data"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` is one or two plain sentences; `routes` are the ones it names, the worst first."""

    tone: Tone
    text: str
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    weight_s: float
    tone: Literal["warning", "bad"]
    route: str
    text: str


def verdict(store: Store, window: Window, service: str | None = None, before: Window | None = None) -> Verdict:
    """What is slow or failing in `window`, against `before` (None: the window of equal length just before)."""
    return verdict_of(routes(store, window, service), routes(store, before or window.before(), service))


def verdict_of(now: list[RouteRow], before: list[RouteRow]) -> Verdict:
    """The sentences from the route rows of both windows."""
    requests = sum(row.stats.requests for row in now)
    if not requests:
        return Verdict("no data", "No requests were recorded in this window.", ())
    base = {row.route: row.stats for row in before}
    findings = []
    for row in now:
        change = compare(row.stats, base.get(row.route, NO_DATA))
        findings += [*_failing(row, change), *_slow(row, change)]
    findings.sort(key=lambda finding: (finding.tone != "bad", -finding.weight_s))
    if not findings:
        return Verdict("fine", _fine_text(now, has_base=bool(before)), ())
    named = findings[:_MOST_NAMED]
    text = " ".join(finding.text for finding in named)
    others = len({finding.route for finding in findings} - {finding.route for finding in named})
    if others:
        text = f"{text[:-1]}; {others} more {'route needs' if others == 1 else 'routes need'} a look."
    return Verdict(named[0].tone, text, tuple(dict.fromkeys(finding.route for finding in named)))


def _fine_text(now: list[RouteRow], *, has_base: bool) -> str:
    number = f"{len(now)} routes" if len(now) > 1 else "route"
    errors = sum(row.stats.errors for row in now)
    enough = [row.stats.p95_s or 0.0 for row in now if row.stats.requests >= FEWEST_REQUESTS]
    if not enough:  # a P95 of so few is one request's luck
        requests = sum(row.stats.requests for row in now)
        few = f"Too few requests to tell: {requests}, no route with {FEWEST_REQUESTS} or more"
        return f"{few}; {errors} failed." if errors else f"{few}; none failed."
    busy = "" if len(enough) == len(now) else f" with {FEWEST_REQUESTS} requests or more"
    number = number if not busy else f"{len(enough)} routes" if len(enough) > 1 else "route"
    text = f"Nothing stands out: {'all ' if len(enough) > 1 else 'the '}{number}{busy} answered"
    text += f" 95 % of requests within {duration_text(max(enough))}"
    text += (
        " and none failed." if not errors else f"; {ratio_text(errors / sum(r.stats.requests for r in now))} failed."
    )
    return text if has_base else f"{text} There is no earlier window to compare with."


def _failing(row: RouteRow, change: Comparison) -> list[_Finding]:
    stats = row.stats
    if stats.errors < FEWEST_ERRORS or stats.error_ratio is None or stats.error_ratio <= ERROR_OBJECTIVE:
        return []
    text = f"{row.route} fails {ratio_text(stats.error_ratio)} of requests ({stats.errors} of {stats.requests})"
    if change.errors.beyond_noise and change.errors.base is not None:
        text += f", {ratio_text(change.errors.base)} before"
    return [_Finding(float("inf"), "bad", row.route, f"{text}.")]


def _slow(row: RouteRow, change: Comparison) -> list[_Finding]:
    stats = row.stats
    if stats.requests < FEWEST_REQUESTS or stats.p95_s is None:
        return []
    slower = bool(change.p95.beyond_noise and (change.p95.difference or 0) > 0)
    if stats.p95_s < SLOW_FROM_S and not slower:
        return []
    weight_s = stats.total_s or 0.0
    tone: Literal["warning", "bad"] = "bad" if row.severity == "critical" else "warning"
    if slower:
        was = duration_text(change.p95.base)
        text = f"{row.route} became slower: P95 {duration_text(stats.p95_s)}, {was} before."
    else:
        text = f"{row.route} is {row.severity}: P95 {duration_text(stats.p95_s)} over {stats.requests} requests."
    return [_Finding(weight_s, tone, row.route, text)]
