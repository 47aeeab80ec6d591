"""Whether caches hit, and what their calls cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.expressions import per_second, quantile, rate, seconds_per_second
from pitstop.dashboard.export.grafana.panels import PER_SECOND, RATIO, SECONDS, Panel, dashboard

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_DURATION = "pitstop_cache_operation_duration_seconds"


def board() -> Json:
    """The dashboard."""
    hits, misses = rate("pitstop_cache_hits", by="cache"), rate("pitstop_cache_misses", by="cache")
    all_hits, all_misses = rate("pitstop_cache_hits"), rate("pitstop_cache_misses")
    panels = [
        Panel("Hit ratio", [(f"{all_hits} / ({all_hits} + {all_misses})", "")], RATIO, 8, "stat"),
        Panel("Calls a second", [(per_second(_DURATION), "")], PER_SECOND, 8, "stat"),
        Panel("P95 of a call", [(quantile(0.95, _DURATION), "")], SECONDS, 8, "stat"),
        Panel("Do they hit?", [(f"{hits} / ({hits} + {misses})", "{{cache}}")], RATIO, high=1),
        Panel(
            "How often are they asked?",
            [(per_second(_DURATION, by="cache, outcome"), "{{cache}} {{outcome}}")],
            PER_SECOND,
            stacked=True,
        ),
        Panel("How slow are they?", [(quantile(0.95, _DURATION, by="cache"), "{{cache}}")], SECONDS),
        Panel(
            "What do they take?",
            [(seconds_per_second(_DURATION, by="cache"), "{{cache}}")],
            SECONDS,
            stacked=True,
            text="Seconds spent in each second.",
        ),
        Panel("Which routes miss?", [(rate("pitstop_cache_misses", by="route"), "{{route}}")], PER_SECOND),
    ]
    return dashboard("cache", "Cache", "Hits, misses and cost of caches.", panels)
