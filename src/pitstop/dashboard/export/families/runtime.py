"""Processes that live: memory, CPU, collections, event loop; and what recording costs in each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pitstop.dashboard.export.facts import PER_WORKER
from pitstop.dashboard.export.family import GAUGE, Family, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts

_GAUGES = (
    ("process_memory_usage_bytes", "Resident memory.", "process.memory.rss_bytes", "bytes"),
    ("process_memory_peak_bytes", "Highest resident memory so far.", "process.memory.peak_bytes", "bytes"),
    ("process_cpu_utilization_ratio", "CPU of the process over one core.", "process.cpu_ratio", "ratio"),
    ("process_threads", "Threads.", "process.threads", ""),
    ("process_open_file_descriptors", "Open files and sockets.", "process.open_files", ""),
    ("pitstop_gc_pause_seconds", "Garbage collection within the last sample, five seconds.", "gc.pause_s", "seconds"),
    ("pitstop_gc_pause_max_seconds", "Its longest pause.", "gc.pause_max_s", "seconds"),
    ("pitstop_event_loop_lag_seconds", "Longest delay of the event loop in the last sample.", "event_loop.lag_s",
     "seconds"),
    ("pitstop_recorder_request_cost_seconds", "What recording adds to a request.", "pitstop.request_cost_s", "seconds"),
    ("pitstop_recorder_overhead_ratio", "What recording takes of a core.", "pitstop.overhead_ratio", "ratio"),
    ("pitstop_recorder_sample_ratio", "Share of requests that is recorded.", "pitstop.sample_rate", "ratio"),
    ("pitstop_recorder_spans_enabled", "Whether what is below a request is recorded.", "pitstop.spans_on", ""),
    ("pitstop_recorder_series", "Series that the worker knows.", "pitstop.series", ""),
    ("pitstop_recorder_flush_seconds", "How long the last write took.", "pitstop.flush_s", "seconds"),
    ("pitstop_profiler_frequency_hertz", "Stacks sampled a second.", "pitstop.profile_hz", "hertz"),
    ("pitstop_profiler_overhead_ratio", "What sampling takes of a core.", "pitstop.profile_ratio", "ratio"),
)  # fmt: skip
_COUNTERS = (
    ("pitstop_recorder_dropped_operations", "Operations lost to a full buffer or store.", "pitstop.dropped"),
    ("pitstop_recorder_folded_operations", "Operations that lost their name to the cap.", "pitstop.folded"),
    ("pitstop_recorder_left_out_rows", "Traces, errors and stacks that found no room.", "pitstop.left_out"),
    ("pitstop_profiler_late_samples", "Stacks that were sampled late.", "pitstop.profile_late"),
)


def families(facts: Facts) -> Iterator[Family]:
    """By worker; one that is gone is told no more."""
    for name, text, reading, unit in _GAUGES:
        yield facts.gauges(name, text, reading, unit)
    for name, text, reading in _COUNTERS:
        yield facts.worker_counters(name, text, reading)
    yield Family(
        "pitstop_gc_collections",
        GAUGE,
        "Collections within the last sample, five seconds.",
        labels=(*PER_WORKER, "generation"),
        values=[
            ((shown(one.service), shown(one.worker), one.name[-1]), one.value)
            for one in facts.readings
            if one.name.startswith("gc.collections.gen")
        ],
    )
    workers = Counter(service for service, _ in {(one.service, one.worker) for one in facts.readings})
    yield Family(
        "pitstop_workers", GAUGE, "Processes that were heard of in the last thirty seconds.", labels=("service_name",),
        values=[((shown(service),), float(number)) for service, number in sorted(workers.items())],
    )  # fmt: skip
