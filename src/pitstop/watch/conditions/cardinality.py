"""More series than anybody reads: names that hold values, such as ids in paths, or statements put together by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.analyze.stats import distinct
from pitstop.analyze.units import bytes_text, count_text
from pitstop.model import OTHER
from pitstop.model.window import Window
from pitstop.watch.conditions.reading import BYTES, Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

SEEN_S = 3600  # series of the last hour count
EVERY_S = 300
SERIES_BYTES = 600  # what one takes in memory with a histogram of some 50 values, measured: store/memory.py
LIMIT_SERIES = 1000  # R31, and what the recorder keeps apart of one kind before it folds the rest
LIMIT_BYTES = 100e6  # R31


def read(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """Series of the last hour, one reading a service and kind; or what all of a service's take in memory."""
    end_s = sight.end_s(SEEN_S) // EVERY_S * EVERY_S
    found = sight.keep(("cardinality", end_s), lambda: _counted(sight, end_s))
    by_bytes = rule.metric == "bytes"
    limit = rule.above if rule.above is not None else LIMIT_BYTES if by_bytes else LIMIT_SERIES
    out = []
    if by_bytes:
        services: dict[str, int] = {}
        for (service, _), (number, _) in found.items():
            services[service] = services.get(service, 0) + number * SERIES_BYTES
        for service, size in services.items():
            if rule.watches(service):
                text = f"the series of {service} take {bytes_text(size)} of memory wherever they are held"
                out.append(Reading({"service": service}, size > limit, size <= limit, float(size), limit, BYTES, text))
        return out
    for (service, kind), (number, folded) in found.items():
        if not rule.watches(service):
            continue
        hot = number > limit or folded
        text = f"{service} has {count_text(number)} series of kind {kind}"
        text += "; more were folded into one" if folded else ""
        out.append(Reading({"service": service, "series": kind}, hot, not hot, float(number), limit, "series", text))
    return out


def _counted(sight: Sight, end_s: int) -> dict[tuple[str, str], tuple[int, bool]]:
    """How many series, and whether some were folded, by service and kind."""
    rows = sight.rollups(Window(end_s - SEEN_S, end_s), kind=None, step_s=SEEN_S, hist=False)
    found: dict[tuple[str, str], tuple[int, bool]] = {}
    for series in set(distinct(rows.series)[0]):
        number, folded = found.get((series.service, series.kind), (0, False))
        found[series.service, series.kind] = (number + 1, folded or series.name == OTHER)
    return found


KIND = Kind(
    "cardinality",
    read,
    "more series, or more memory for them, than is good",
    keys=frozenset({"metric", "service", "above"}),
    defaults={"metric": "series", "every": "5m"},
    metrics=("series", "bytes"),
)
