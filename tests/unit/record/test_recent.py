"""What a host sees of its own last operations."""

from __future__ import annotations

import time
from time import perf_counter_ns

from pitstop.record.recent import recent
from pitstop.record.recorder import Recorder


def test_the_last_operations_are_listed_oldest_first_with_their_metadata() -> None:
    recorder = Recorder(recent=3)
    recorder.on = True
    for i in range(5):
        operation = recorder.begin("http")
        assert operation is not None
        operation.name, operation.outcome, operation.nbytes = f"GET /{i}", "200", i
        recorder.finish(operation, perf_counter_ns())
    assert recent(recorder) == []
    recorder.drain()
    metrics = recent(recorder)
    assert [metric.operation for metric in metrics] == ["GET /2", "GET /3", "GET /4"]
    last = metrics[-1]
    assert abs(last.timestamp_s - time.time()) < 5
    assert last.category == "http"
    assert 0 < last.duration_s < 5
    assert last.metadata == {"outcome": "200", "bytes": 4}
