"""What a service promises: which events are good, how many have to be, and over which time.

An objective without a service, or with a pattern for it, is one for each service that it fits; with ``by`` it is one
for each route or tenant, too: a performance budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.series import HTTP
from pitstop.model.window import parse_duration_s
from pitstop.watch.calendar import CALENDARS
from pitstop.watch.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AVAILABILITY = "availability"
LATENCY = "latency"
ERROR_RATIO = "error_ratio"
FRESHNESS = "freshness"
PROBED = "probe"
KINDS = (AVAILABILITY, LATENCY, ERROR_RATIO, FRESHNESS, PROBED)

ANY = "*"
ROUTE, TENANT = "route", "tenant"
DEFAULT_WINDOW = "30d"  # the SRE workbook, chapter 2: four weeks or a month are a good general-purpose window
LEAST_EVENTS = 100
LEAST_PROBES = 10  # in an hour a probe runs 120 times, not thousands
DEFAULT_WINDOW_S = parse_duration_s(DEFAULT_WINDOW)
_LONGEST_S = 366 * 86_400
_KEYS = (
    "name", "kind", "service", "routes", "tenant", "series", "by", "target", "threshold", "window", "least_events",
    "probe", "alert",
)  # fmt: skip

UPTIME_TARGET = 0.999  # R34
ERROR_TARGET = 0.001  # R34: less than this share fails
P95_THRESHOLD_S = 0.5  # R34; a border of the histogram, so it is read exactly
P99_THRESHOLD_S = 1.0  # R34; a border, too


class Objective(NamedTuple):
    """`target` of the events that fit have to be good, over `window` (``30d``, or a calendar's: ``month``).

    Good is, by `kind`: availability and error_ratio, what did not fail; latency, what took `threshold_s` or less;
    freshness, each second at which the newest event was `threshold_s` old or younger; probe, a run that succeeded.
    `service`, `routes` (of series of kind `series`) and `tenant` are patterns, `by` says what has budgets of its own.
    Fewer than `least_events` in a burn-rate window fire nothing; `alert` False: never fires. `source` is the file's
    name, ``dashboard`` or ``default``.
    """

    name: str
    kind: str
    target: float
    service: str = ANY
    routes: tuple[str, ...] = ()
    tenant: str = ""
    series: str = HTTP
    by: tuple[str, ...] = ()
    threshold_s: float | None = None
    window: str = DEFAULT_WINDOW
    least_events: int = LEAST_EVENTS
    probe: str = ""
    alert: bool = True
    source: str = "default"


def parse_objective(values: Mapping[str, object], source: str) -> Objective:
    """One ``[[slo]]`` of the rules file. Raises SettingError naming the value, the limit and what to write."""
    table = Table(values, "slo", source, _KEYS)
    name = table.text("name")
    kind = table.choice("kind", KINDS)
    by = table.texts("by")
    if set(by) - {ROUTE, TENANT}:
        raise table.wrong(f"by = {list(by)!r} may have {ROUTE} and {TENANT} only; each service is one anyway")
    threshold_s = None
    if kind in {LATENCY, FRESHNESS}:
        threshold_s = table.seconds("threshold", None, 1e-6, 10_000 if kind == LATENCY else _LONGEST_S)
    elif table.has("threshold"):
        raise table.wrong(f"threshold is for {LATENCY} and {FRESHNESS}; a kind of {kind} has none")
    if kind != PROBED and table.has("probe"):
        raise table.wrong(f'probe is for kind = "{PROBED}"; this is {kind}')
    return Objective(
        name=name,
        kind=kind,
        target=_target(table, kind),
        service=table.text("service", ANY),
        routes=table.texts("routes"),
        tenant=table.text("tenant", ""),
        series=table.text("series", HTTP),
        by=by,
        threshold_s=threshold_s,
        window=_window(table),
        least_events=table.whole("least_events", LEAST_PROBES if kind == PROBED else LEAST_EVENTS, 1, 10**9),
        probe=table.text("probe", ANY) if kind == PROBED else "",
        alert=table.flag("alert", default=True),
        source=source,
    )


def _target(table: Table, kind: str) -> float:
    """The share that has to be good. Of an error ratio, what is written below one half is the share that may fail."""
    target = table.number("target", None, 0, 1)
    if kind == ERROR_RATIO and 0 < target < 0.5:  # noqa: PLR2004  nobody promises that most of it fails
        target = 1 - target
    if not 0 < target < 1:
        raise table.wrong(f"target = {target:g} leaves no budget or asks for nothing: write a share such as 0.999")
    return target


def _window(table: Table) -> str:
    text = table.text("window", DEFAULT_WINDOW)
    if text in CALENDARS:
        return text
    length_s = table.seconds("window", DEFAULT_WINDOW_S, 3600, _LONGEST_S)
    if length_s % 3600:
        raise table.wrong(f"window = {text!r} is no whole number of hours, days or weeks")
    return text


def default_objectives(services: Iterable[str], probes: Iterable[str] = ()) -> list[Objective]:
    """What holds for every service until somebody says otherwise (R34), and for every probe by its name.

    The error ratio is shown and fires nothing: it is spent by the very requests that uptime is.
    """
    found = []
    for service in services:
        found += [
            Objective("uptime", AVAILABILITY, UPTIME_TARGET, service),
            Objective("errors", ERROR_RATIO, 1 - ERROR_TARGET, service, alert=False),
            Objective("P95", LATENCY, 0.95, service, threshold_s=P95_THRESHOLD_S),
            Objective("P99", LATENCY, 0.99, service, threshold_s=P99_THRESHOLD_S),
        ]
    found += [Objective("probe", PROBED, UPTIME_TARGET, probe=name, least_events=LEAST_PROBES) for name in probes]
    return found
