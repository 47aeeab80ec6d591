"""What Pitstop itself costs, keeps and leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.expressions import rate, selector
from pitstop.dashboard.export.grafana.panels import BYTES, NUMBER, PER_SECOND, RATIO, SECONDS, Panel, dashboard

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_WORKER = "{{service_instance_id}}"


def board() -> Json:
    """The dashboard."""
    panels = [
        Panel("Store", [("sum(pitstop_store_data_bytes)", "")], BYTES, 6, "stat"),
        Panel("Series", [("sum(pitstop_cardinality_series)", "")], NUMBER, 6, "stat"),
        Panel("Limits that are passed", [("sum(pitstop_cardinality_warning)", "")], NUMBER, 6, "stat"),
        Panel(
            "Recording takes of a core", [(f"max(pitstop_recorder_overhead_ratio{selector()})", "")], RATIO, 6, "stat"
        ),
        Panel(
            "What does recording cost?",
            [(f"pitstop_recorder_overhead_ratio{selector()}", _WORKER)],
            RATIO,
            text="Of one core; above its budget, 1 % by default, it sheds by itself.",
        ),
        Panel(
            "What does it add to a request?", [(f"pitstop_recorder_request_cost_seconds{selector()}", _WORKER)], SECONDS
        ),
        Panel(
            "What is dropped or folded?",
            [
                (rate("pitstop_recorder_dropped_operations"), "dropped"),
                (rate("pitstop_recorder_folded_operations"), "folded"),
                (rate("pitstop_recorder_left_out_rows"), "left out"),
            ],
            PER_SECOND,
        ),
        Panel("How long do writes take?", [(f"pitstop_recorder_flush_seconds{selector()}", _WORKER)], SECONDS),
        Panel(
            "How large is the store?",
            [
                ("pitstop_store_data_bytes", "data"),
                ("pitstop_store_log_bytes", "log"),
                ("pitstop_store_free_bytes", "free"),
            ],
            BYTES,
        ),
        Panel("Rows", [("pitstop_store_rows", "{{table}}")], NUMBER),
        Panel(
            "Series by kind",
            [(f"sum by (kind) (pitstop_cardinality_series{selector()})", "{{kind}}")],
            NUMBER,
            stacked=True,
        ),
        Panel("How long does the exposition take?", [("pitstop_export_duration_seconds", "")], SECONDS),
        Panel("How large is it?", [("pitstop_export_samples", "samples")], NUMBER),
        Panel("Stacks sampled", [(f"pitstop_profiler_frequency_hertz{selector()}", _WORKER)], PER_SECOND),
    ]
    return dashboard("ourselves", "Pitstop itself", "Cost of recording, size of the store, caps.", panels)
