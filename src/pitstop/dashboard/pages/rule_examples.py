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
            "requests are slow",
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
    "burn_rate": Example(
        "an error budget is spent too fast",
        _rule(
            "budget of checkouts burns",
            "burn_rate",
            'slo = "checkouts work"  # objectives of that name; * is anything',
            'severity = "page"       # the pairs of windows that page',
        ),
    ),
    "anomaly": Example(
        "unlike the same time of other days",
        _rule(
            "unusually slow",
            "anomaly",
            'metric = "p95"       # p50 p95 p99 mean rate error_ratio',
            "above = 6            # median deviations from what is usual",
            "least_change = 0.5   # and half as much again",
            'direction = "up"',
            'severity = "ticket"',
        ),
    ),
    "change_point": Example(
        "a lasting change of level",
        _rule(
            "latency changed for good",
            "change_point",
            'metric = "p95"',
            'over = "20m"         # the new level',
            'baseline = "2h"      # the level before',
            "least_change = 0.3",
            'by = ["route"]',
            'severity = "ticket"',
        ),
    ),
    "finding": Example(
        "what the analysis found",
        _rule("statements repeat", "finding", 'finding = "n_plus_one"  # or new_error, health', 'severity = "info"'),
    ),
    "leak": Example(
        "memory grows and grows",
        _rule("memory grows", "leak", 'above = "1MB"  # a minute', 'over = "30m"', 'severity = "ticket"'),
    ),
    "cardinality": Example(
        "too many series",
        _rule(
            "series are many",
            "cardinality",
            'metric = "series"  # or bytes',
            "above = 1000",
            'severity = "info"',
        ),
    ),
    "disk": Example(
        "the store's disk fills",
        _rule(
            "disk fills",
            "disk",
            'metric = "free_ratio"  # or free_bytes',
            "below = 0.1",
            "clear = 0.15",
            'for = "5m"',
            'severity = "ticket"',
        ),
    ),
    "log": Example(
        "the write-ahead log grows",
        _rule("log grows", "log", 'above = "64MB"', 'for = "5m"', 'severity = "ticket"'),
    ),
    "no_data": Example(
        "a service fell silent",
        _rule(
            "shop is silent",
            "no_data",
            'service = "shop"',
            'over = "5m"        # nothing for so long …',
            "least_events = 20  # … where before there were so many",
            'severity = "page"',
        ),
    ),
    "heartbeat": Example(
        "somebody did not report",
        _rule(
            "nightly job is late",
            "heartbeat",
            'heartbeat = "nightly"  # pitstop alerts beat nightly, at the end of the job',
            'above = "25h"',
            'severity = "ticket"',
        ),
    ),
    "component": Example(
        "a dependency is down",
        _rule("something is down", "component", 'component = "*"  # a name, or * for any', 'severity = "page"'),
    ),
}
"""By kind; a test checks each."""
