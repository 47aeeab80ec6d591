"""What the processes do: memory, CPU, collections, event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.expressions import selector
from pitstop.dashboard.export.grafana.panels import BYTES, NUMBER, RATIO, SECONDS, Panel, dashboard

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_WORKER = "{{service_instance_id}}"


def board() -> Json:
    """The dashboard."""

    def each(metric: str) -> list[tuple[str, str]]:
        return [(f"{metric}{selector()}", _WORKER)]

    panels = [
        Panel("Workers", [(f"sum(pitstop_workers{selector()})", "")], NUMBER, 8, "stat"),
        Panel("Memory of all", [(f"sum(process_memory_usage_bytes{selector()})", "")], BYTES, 8, "stat"),
        Panel("Cores in use", [(f"sum(process_cpu_utilization_ratio{selector()})", "")], NUMBER, 8, "stat"),
        Panel("Memory", each("process_memory_usage_bytes"), BYTES),
        Panel("CPU of one core", each("process_cpu_utilization_ratio"), RATIO),
        Panel("Delay of the event loop", each("pitstop_event_loop_lag_seconds"), SECONDS),
        Panel("Longest garbage collection", each("pitstop_gc_pause_max_seconds"), SECONDS),
        Panel(
            "Collections by generation",
            [(f"sum by (generation) (pitstop_gc_collections{selector()})", "generation {{generation}}")],
            NUMBER,
        ),
        Panel("Threads", each("process_threads"), NUMBER),
        Panel("Open files and sockets", each("process_open_file_descriptors"), NUMBER),
        Panel("Open websockets", each("pitstop_websocket_open_connections"), NUMBER),
        Panel("The service's own gauges", [(f"pitstop_app_reading{selector()}", "{{reading}} " + _WORKER)], NUMBER, 24),
    ]
    return dashboard("runtime", "Runtime", "Memory, CPU, garbage collection and event loop of each worker.", panels)
