"""What a new rule starts from: one example a kind, each of which is a rule as it stands."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """`what` in a few words, `text` as TOML."""

    what: str
    text: str


def _table(head: str, *lines: str) -> str:
    return "\n".join((head, *lines, ""))


def _rule(name: str, kind: str, *lines: str) -> str:
    return _table("[[rule]]", f'name = "{name}"', f'kind = "{kind}"', *lines)


EXAMPLES: dict[str, Example] = {
    "threshold": Example(
        "a figure passes a limit",
        _rule(
            "answers are slow",
            "threshold",
            'metric = "p95"      # p50 p90 p95 p99 mean rate error_ratio count, or "sample:<gauge>"',
            "above = 0.5         # seconds; or below = …",
            "clear = 0.4         # it ends below this",
            'over = "5m"         # the window that is looked at',
            'for = "2m"          # how long it must hold',
            "least_events = 20",
            'severity = "ticket" # page, ticket or info',
            'by = ["route"]      # one alert for each',
        ),
    ),
    "slo": Example(
        "an objective with an error budget",
        _table(
            "[[slo]]",
            'name = "answers in half a second"',
            'kind = "latency"    # availability, latency, error_ratio, freshness or probe',
            "target = 0.99",
            'threshold = "500ms"',
            'window = "30d"      # or week, month, quarter',
            "least_events = 100  # below it nothing pages",
        ),
    ),
    "probe": Example(
        "asks an address by itself",
        _table(
            "[[probe]]",
            'name = "home page"',
            'url = "https://shop.example/"  # or tcp://host:port',
            'every = "30s"',
            'timeout = "5s"',
            "status = 200",
        ),
    ),
    "burn_rate": Example("an error budget is spent too fast", _rule("budgets burn", "burn_rate")),
    "anomaly": Example(
        "unlike the same time of other days",
        _rule("unusually slow", "anomaly", 'metric = "p95"', 'severity = "ticket"'),
    ),
    "change_point": Example(
        "a lasting change of level", _rule("latency changed", "change_point", 'metric = "p95"', 'severity = "ticket"')
    ),
    "finding": Example("what the analysis found", _rule("repeated statements", "finding", 'severity = "info"')),
    "leak": Example("memory grows and grows", _rule("memory grows", "leak", 'severity = "ticket"')),
    "cardinality": Example("too many series", _rule("too many series", "cardinality", 'severity = "ticket"')),
    "disk": Example("the store's disk fills", _rule("disk fills", "disk", 'severity = "page"')),
    "log": Example("the write-ahead log grows", _rule("log grows", "log", 'severity = "ticket"')),
    "no_data": Example(
        "a service fell silent", _rule("service is silent", "no_data", 'for = "5m"', 'severity = "page"')
    ),
    "heartbeat": Example(
        "somebody did not report", _rule("nightly job ran", "heartbeat", 'over = "25h"', 'severity = "ticket"')
    ),
    "component": Example("a dependency is down", _rule("something is down", "component", 'severity = "page"')),
}
"""By kind; a test saves none of them and checks each."""
