"""What every store does, whichever it is."""

from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Match, StoreError, Window

if TYPE_CHECKING:
    from conftest import HandClock, Make, Settle

    from pitstop.model import Store


def test_what_goes_in_comes_out(store: Store, make: Make) -> None:
    rows = [(make.NOON, make.series("a"), [10**6, 2 * 10**6]), (make.NOON + 1, make.series("b"), [5])]
    store.append(make.batch(rows))
    assert make.answer(store, make.NOON, make.NOON + 2) == make.totals(make.rollups(rows))
    got = store.rollups(Window(make.NOON, make.NOON + 2), Match())
    assert [type(column) for column in (got.ts, got.count, got.series, got.hist)] == [array, array, list, list]
    nothing = store.rollups(Window(make.NOON, make.NOON + 2), Match(name="no such"))
    assert [type(column) for column in (nothing.ts, nothing.nbytes, nothing.hist)] == [array, array, list]
    assert set(got.hist) == set(make.rollups(rows).hist)


def test_a_window_holds_its_start_and_not_its_end(store: Store, make: Make) -> None:
    for ts in range(make.NOON, make.NOON + 10):
        store.append(make.batch([(ts, make.series(), [ts - make.NOON + 1])]))
    ((count, sum_ns, *_),) = make.answer(store, make.NOON + 2, make.NOON + 5).values()
    assert (count, sum_ns) == (3, 3 + 4 + 5)
    assert make.answer(store, make.NOON + 5, make.NOON + 5) == {}


def test_a_retried_batch_counts_once(store: Store, make: Make) -> None:
    batch = make.batch([(make.NOON, make.series(), [7])], events=make.events([(make.NOON, "shop", "deploy", "v2")]))
    for _ in range(3):
        store.append(batch)
    assert make.answer(store, make.NOON, make.NOON + 1)[make.series()][0] == 1
    assert store.events(Window(0, make.NOON + 1)).text == ["v2"]


def test_a_batch_retried_after_its_rows_were_folded_counts_once(
    store: Store, make: Make, clock: HandClock, settle: Settle
) -> None:
    batch = make.batch([(make.NOON, make.series(), [7])])
    store.append(batch)
    clock.pass_s(3 * 86_400)
    settle(store)
    store.append(batch)
    assert make.answer(store, make.NOON - 86_400, make.NOON + 86_400)[make.series()][0] == 1


def test_one_batch_may_name_a_series_twice_in_a_second(store: Store, make: Make) -> None:
    store.append(make.batch([(make.NOON, make.series(), [7]), (make.NOON, make.series(), [9, 1])]))
    assert make.answer(store, make.NOON, make.NOON + 1)[make.series()][:4] == (3, 17, 1, 9)


def test_counters_have_no_histogram(store: Store, make: Make, clock: HandClock, settle: Settle) -> None:
    batch = make.batch([(make.NOON, make.series("orders", kind="counter"), [10**9]) for _ in range(2)])
    batch.rollups.hist[:] = [b"", b""]
    store.append(batch)
    clock.pass_s(7200)
    settle(store)
    ((count, sum_ns, _, _, _, hist),) = make.answer(store, make.NOON, make.NOON + 3600).values()
    assert (count, sum_ns, hist) == (2, 2 * 10**9, {})


@pytest.mark.parametrize(
    "match",
    [Match(), Match(name="a"), Match(outcome="500"), Match(service="till"), Match(name="a", outcome="200"),
     Match(kind="db"), Match(tenant="x")],
)  # fmt: skip
def test_only_matching_series_are_returned(store: Store, make: Make, match: Match) -> None:
    every = [
        make.series(name, service=service, outcome=outcome)
        for name in ("a", "b") for service in ("shop", "till") for outcome in ("200", "500")
    ]  # fmt: skip
    store.append(make.batch([(make.NOON, series, [1]) for series in every]))
    got = store.rollups(Window(make.NOON, make.NOON + 1), match)
    assert set(got.series) == {series for series in every if match.accepts(series)}
    assert len(got) == len(set(got.series))


def test_a_name_is_data_and_never_sql(store: Store, make: Make) -> None:
    hostile = make.series("x' OR 1=1; DROP TABLE series; --\x00é")
    store.append(make.batch([(make.NOON, hostile, [1]), (make.NOON, make.series(), [1])]))
    assert list(make.answer(store, make.NOON, make.NOON + 1, name=hostile.name)) == [hostile]
    assert len(make.answer(store, make.NOON, make.NOON + 1)) == 2


def test_histograms_are_left_out_on_request(store: Store, make: Make) -> None:
    store.append(make.batch([(make.NOON, make.series(), [7, 8])]))
    got = store.rollups(Window(make.NOON, make.NOON + 1), Match(), hist=False)
    assert (got.hist, list(got.count), list(got.sum_ns)) == ([b""], [2], [15])


def test_steps_are_never_straddled(store: Store, make: Make, clock: HandClock, settle: Settle) -> None:
    for ts in range(make.NOON, make.NOON + 1800, 7):
        store.append(make.batch([(ts, make.series(), [ts - make.NOON + 1])]))
    clock.pass_s(2000)
    settle(store)
    got = store.rollups(Window(make.NOON, make.NOON + 1800), Match(), step_s=90)
    sums: dict[int, int] = {}
    for ts, sum_ns in zip(got.ts, got.sum_ns, strict=True):
        sums[ts // 90] = sums.get(ts // 90, 0) + sum_ns
    wanted: dict[int, int] = {}
    for ts in range(make.NOON, make.NOON + 1800, 7):
        wanted[ts // 90] = wanted.get(ts // 90, 0) + ts - make.NOON + 1
    assert sums == wanted


def test_the_last_sample_of_each_step_is_returned(store: Store, make: Make) -> None:
    rows = [(make.NOON + i, "shop", worker, "memory_bytes", float(i)) for i in range(30) for worker in ("w1", "w2")]
    store.append(Batch("w1", 1, samples=make.samples(rows)))
    window = Window(make.NOON, make.NOON + 30)
    assert len(store.samples(window)) == 60
    got = store.samples(window, step_s=10)
    assert (got.value, set(got.worker)) == ([9.0, 9.0, 19.0, 19.0, 29.0, 29.0], {"w1", "w2"})
    assert len(store.samples(window, names=("cpu_ratio",))) == 0
    assert len(store.samples(window, service="till")) == 0
    assert len(store.samples(window, service="shop", names=("memory_bytes",))) == 60


def test_samples_stay_when_they_are_thinned(store: Store, make: Make, clock: HandClock, settle: Settle) -> None:
    store.append(Batch("w1", 1, samples=make.samples([(make.NOON + 61, "shop", "w1", "rss_bytes", 42.0)])))
    clock.pass_s(4 * 86_400)
    settle(store)
    got = store.samples(Window(make.NOON, make.NOON + 3600), step_s=60)
    assert (got.value, got.name, got.ts[0] // 60) == ([42.0], ["rss_bytes"], make.NOON // 60 + 1)


def test_events_come_oldest_first(store: Store, make: Make) -> None:
    store.append(
        Batch("w1", 1, events=make.events([(make.NOON + 2, "a", "x", "late"), (make.NOON, "b", "y", "early")]))
    )
    store.append(Batch("w2", 1, events=make.events([(make.NOON + 1, "a", "z", "middle")])))
    assert store.events(Window(make.NOON, make.NOON + 3)).text == ["early", "middle", "late"]
    assert store.events(Window(make.NOON, make.NOON + 3), service="a").kind == ["z", "x"]
    assert len(store.events(Window(0, make.NOON))) == 0


def test_services_are_listed_once_and_sorted(store: Store, make: Make) -> None:
    assert store.services() == []
    store.append(make.batch([(make.NOON, make.series(service=service), [1]) for service in ("till", "shop", "till")]))
    assert store.services() == ["shop", "till"]


def test_a_service_whose_rows_are_gone_is_listed_no_more_and_may_come_back(
    store: Store, make: Make, clock: HandClock, settle: Settle
) -> None:
    old = make.series(service="old")
    store.append(make.batch([(make.NOON - 9 * 86_400, old, [1]), (make.NOON - 9, make.series(service="new"), [1])]))
    settle(store)
    assert store.services() == ["new", "old"]
    store.prune(make.NOON - 2 * 86_400)
    assert (store.services(), store.size().series) == (["new"], 1)
    clock.pass_s(5)
    store.append(make.batch([(make.NOON, old, [1])]))
    assert store.services() == ["new", "old"]
    assert make.answer(store, make.NOON, make.NOON + 1, service="old")[old][0] == 1


def test_one_holder_has_the_lease_until_it_ends(store: Store, clock: HandClock) -> None:
    assert store.lease("a", 10)
    assert not store.lease("b", 10)
    clock.pass_s(9)
    assert store.lease("a", 10)
    clock.pass_s(9)
    assert not store.lease("b", 10)
    clock.pass_s(2)
    assert store.lease("b", 10)
    assert (store.size().lease_holder, store.size().lease_until_s) == ("b", clock.now_s() + 10)


def test_a_lease_from_the_future_is_nobodys(store: Store, clock: HandClock) -> None:
    clock.pass_s(86_400)
    assert store.lease("a", 10)
    clock.pass_s(-86_400)
    assert store.lease("b", 10)


def test_prune_says_what_it_would_delete_and_deletes_that(store: Store, make: Make, settle: Settle) -> None:
    rows = [(make.NOON - 5 * 86_400 + i * 3600, make.series(), [i + 1]) for i in range(100)]
    store.append(make.batch(rows, events=make.events([(make.NOON - 90 * 3600, "shop", "deploy", "v1")])))
    settle(store)
    before_s = (make.NOON - 2 * 86_400) // 86_400 * 86_400
    would = store.prune(before_s, dry_run=True)
    assert would > 0
    assert make.answer(store, 0, make.NOON)[make.series()][0] == 100
    assert store.prune(before_s) == would
    wanted = make.totals(make.rollups(row for row in rows if row[0] >= before_s))
    assert make.answer(store, make.NOON - 20 * 86_400, make.NOON) == wanted
    assert store.prune(before_s) == 0
    assert len(store.events(Window(0, make.NOON))) == 0


def test_after_prune_of_everything_new_measurements_are_kept(
    store: Store, make: Make, clock: HandClock, settle: Settle
) -> None:
    store.append(make.batch([(make.NOON - 5, make.series(), [1])]))
    store.prune(make.NOON * 2)
    store.append(make.batch([(make.NOON - 3, make.series("late"), [1]), (make.NOON + 1, make.series("new"), [1])]))
    clock.pass_s(600)
    settle(store)
    day = make.NOON // 86_400 * 86_400
    assert {s.name for s in make.answer(store, day, day + 86_400)} >= {"late", "new"}


def test_retention_deletes_what_is_older_and_nothing_else(store: Store, make: Make, settle: Settle) -> None:
    day = make.NOON // 86_400 * 86_400
    for age in (0, 5, 50, 800):
        store.append(make.batch([(day - age * 86_400, make.series(f"{age} days"), [1])]))
    settle(store)
    while store.upkeep(retention_s=10 * 86_400).deleted_rows:
        pass
    hours = store.rollups(Window(day - 9 * 86_400, day + 86_400), Match(), step_s=3600)
    assert {series.name for series in hours.series} == {"0 days", "5 days"}
    every = store.rollups(Window(0, day + 86_400), Match())
    assert "800 days" not in {series.name for series in every.series}


def test_size_reports_rows_and_times(store: Store, make: Make) -> None:
    assert store.size().state == "ok"
    store.append(make.batch([(make.NOON + i, make.series(str(i)), [1]) for i in range(10)]))
    size = store.size()
    table = next(table for table in size.tables if table.name == "rollup_1")
    assert (table.rows, table.step_s, table.oldest_s, table.newest_s) == (10, 1, make.NOON, make.NOON + 9)
    assert (size.series, size.url, size.state) == (10, store.url, "ok")
    assert size.data_bytes + size.log_bytes > 0


def test_threads_write_and_read_at_once_and_nothing_is_lost(store: Store, make: Make) -> None:
    failures: list[BaseException] = []

    def work(worker: str) -> None:
        try:
            for seq in range(1, 41):
                rows = make.rollups([(make.NOON + seq, make.series(), [seq])])
                store.append(Batch(worker, seq, rows))
                store.rollups(Window(make.NOON, make.NOON + 60), Match())
        except BaseException as error:  # noqa: BLE001  a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        store.upkeep()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert make.answer(store, make.NOON, make.NOON + 60)[make.series()][:2] == (240, 6 * 820)


def test_a_closed_store_refuses_with_our_error(store: Store, make: Make) -> None:
    store.append(make.batch([(make.NOON, make.series(), [1])]))
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.append(make.batch([(make.NOON, make.series(), [1])]))
    with pytest.raises(StoreError, match="closed"):
        store.services()
    store.close()


def test_a_checkpoint_says_how_long_the_log_was(store: Store, make: Make) -> None:
    store.append(make.batch([(make.NOON, make.series(), [1])]))
    log_bytes = store.size().log_bytes
    assert store.checkpoint() == log_bytes
    assert store.size().log_bytes == 0
