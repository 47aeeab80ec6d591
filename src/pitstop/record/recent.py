"""The last operations of this process, for a host that wants to look at its own figures."""

from __future__ import annotations

import time
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.record import named
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.record.recorder import Recorder


class Metric(NamedTuple):
    """One finished operation: `timestamp_s` (Unix time of its end), what it was, how long it took, what is known of it.

    `category` is http, db, cache, function, …; `operation` its name, as ``GET /items/{item_id}``.
    """

    timestamp_s: float
    category: str
    operation: str
    duration_s: float
    metadata: Mapping[str, object]


def recent(recorder: Recorder = RECORDER) -> list[Metric]:
    """The last finished operations of this process, oldest first: at most `recent_size` (1,000 by default).

    An operation appears when it is flushed, within about a second.
    """
    offset_s = time.time() - perf_counter_ns() / 1e9
    return [
        Metric(
            offset_s + record.end_ns / 1e9,
            record.kind,
            record.name,
            (record.end_ns - record.start_ns) / 1e9,
            {"outcome": record.outcome, "bytes": record.nbytes, **(record.attrs or {})},
        )
        for record in named(tuple(recorder.recent))
        if record.kind
    ]
