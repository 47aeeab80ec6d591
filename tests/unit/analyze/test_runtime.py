from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.analyze import rows, runtime, services
from pitstop.model import Batch, Match, Samples, Window

if TYPE_CHECKING:
    from pitstop.model import Store


def write(store: Store, seq: int, ts: int, worker: str, **values: float) -> None:
    samples = Samples()
    for name, value in values.items():
        samples.ts.append(ts)
        samples.service.append("shop")
        samples.worker.append(worker)
        samples.name.append(name)
        samples.value.append(value)
    store.append(Batch(worker, seq, samples=samples))


def test_gauges_stand_by_name_and_worker_in_order_of_time(recorded: Any) -> None:
    write(recorded.store, 0, 1010, "w2", memory=5.0)
    write(recorded.store, 0, 1010, "w1", memory=2.0, threads=4)
    write(recorded.store, 1, 1020, "w1", memory=3.0)
    write(recorded.store, 2, 1030, "w1", memory=1.0)
    seen = runtime(recorded.store, Window(1000, 1100), "shop", step_s=1)
    assert (seen.workers, seen.names) == (("w1", "w2"), ("memory", "threads"))
    first, second = seen.of("memory")
    assert (first.worker, first.ts, first.values) == ("w1", (1010, 1020, 1030), (2.0, 3.0, 1.0))
    assert (first.last, first.highest, second.last) == (1.0, 3.0, 5.0)
    assert set(seen.worker("w1")) == {"memory", "threads"}
    assert runtime(recorded.store, Window(1000, 1100), "shop", ("threads",), 1).names == ("threads",)


def test_services_are_listed_busiest_first_with_the_quiet_ones(recorded: Any) -> None:
    recorded.add(1000, "a", [0.1] * 2, service="bank")
    recorded.add(1000, "a", [0.1] * 5, service="shop")
    recorded.add(10, "a", [0.1], service="attic")
    found = services(recorded.store, Window(1000, 1100))
    assert [(row.service, row.requests) for row in found] == [("shop", 5), ("bank", 2), ("attic", 0)]


def test_rows_are_read_in_pieces_and_no_request_is_counted_twice_or_lost(recorded: Any) -> None:
    for ts in range(1005, 2805, 7):
        recorded.add(ts, "GET /a", [0.1] * 2)
        recorded.add(ts, "GET /b", [0.1])
    window = Window(1003, 2801)
    found = list(rows(recorded.store, window, Match(kind="http"), 10))
    assert [row.ts for row in found] == sorted(row.ts for row in found)
    assert len({(row.ts, row.series) for row in found}) == len(found)
    inside = sum(1 for ts in range(1005, 2805, 7) if ts < 2801)
    assert sum(row.stats.requests for row in found) == 3 * inside
    assert list(rows(recorded.store, Window(0, 100), Match(), 10)) == []
