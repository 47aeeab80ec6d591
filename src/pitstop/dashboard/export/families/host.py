"""What the host counts and measures by itself: counters, gauges, histograms of values; and its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.family import GAUGE, Family, shown
from pitstop.model.series import COUNTER, ERROR, METRIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts

_OURS = ("process.", "gc.", "event_loop.", "requests.", "websockets.", "pitstop.")
_WIDE_BOUNDS = tuple(range(-10, 14, 2))


def families(facts: Facts) -> Iterator[Family]:
    """The host's names are labels, since they may be anything."""
    yield from facts.counters(
        COUNTER, ("service_name", "event"), lambda s: (s.service, s.name),
        ("pitstop_app_events", "Calls of the host's counters.", "", lambda sums: sums.events),
        ("pitstop_app_amount", "What the host's counters add up to.", "", lambda sums: sums.sum_s),
    )  # fmt: skip
    yield facts.durations(
        "pitstop_app_values", "Values of the host's own histograms, in units of theirs.", METRIC,
        ("service_name", "metric"), lambda s: (s.service, s.name), _WIDE_BOUNDS, unit="",
    )  # fmt: skip
    yield Family(
        "pitstop_app_reading",
        GAUGE,
        "Newest value of the host's own gauges.",
        labels=("service_name", "service_instance_id", "reading"),
        values=[
            ((shown(one.service), shown(one.worker), shown(one.name)), one.value)
            for one in facts.readings
            if not one.name.startswith(_OURS)
        ],
    )
    yield from facts.counters(
        ERROR, ("service_name", "tenant", "route", "error_type"), lambda s: (s.service, s.tenant, s.parent, s.outcome),
        ("pitstop_errors", "Requests that ended in an exception, by its type.", "", lambda sums: sums.events),
    )  # fmt: skip
