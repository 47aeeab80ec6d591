"""What every store does with reports, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model import Batch, Reports, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conftest import HandClock, Make

    from pitstop.model import Store

DAY_S = 86_400
Row = tuple[int, str, str, str, str, str]  # ts, service, worker, kind, name, body


def made(rows: Iterable[Row]) -> Reports:
    out = Reports()
    for row in rows:
        for field, value in zip(("ts", "service", "worker", "kind", "name", "body"), row, strict=True):
            getattr(out, field).append(value)
    return out


def rows_of(reports: Reports) -> list[Row]:
    columns = (reports.ts, reports.service, reports.worker, reports.kind, reports.name, reports.body)
    return list(zip(*columns, strict=True))


def test_the_newest_of_each_worker_kind_and_name_is_kept(store: Store, make: Make) -> None:
    now = make.NOON
    first = [(now, "shop", "w1", "cache", "books", "{1}"), (now, "shop", "w1", "gc", "", "{2}")]
    store.append(Batch("w1", 1, reports=made(first)))
    store.append(Batch("w2", 1, reports=made([(now + 5, "shop", "", "cache", "books", "{3}")])))
    store.append(Batch("w1", 2, reports=made([(now + 9, "shop", "w1", "cache", "books", "{4}")])))
    store.append(Batch("w1", 2, reports=made([(now + 10, "shop", "w1", "cache", "books", "{a retry}")])))
    store.append(Batch("w1", 3, reports=made([(now + 1, "shop", "w1", "cache", "books", "{late}")])))
    assert rows_of(store.reports(Window(now, now + 60))) == [
        (now + 9, "shop", "w1", "cache", "books", "{4}"),
        (now + 5, "shop", "w2", "cache", "books", "{3}"),
        (now, "shop", "w1", "gc", "", "{2}"),
    ]
    assert {table.name: table.rows for table in store.size().tables}["report"] == 3


def test_reports_are_chosen_by_window_service_and_kind(store: Store, make: Make) -> None:
    now = make.NOON
    rows = [
        (now + n, service, "w1", kind, f"{service} {n}", "{}")
        for n, (service, kind) in enumerate((s, k) for s in ("shop", "till") for k in ("cache", "pool"))
    ]
    store.append(Batch("w1", 1, reports=made(rows)))
    whole = Window(now, now + 60)
    assert {row[4] for row in rows_of(store.reports(whole, service="till"))} == {"till 2", "till 3"}
    assert {row[4] for row in rows_of(store.reports(whole, kind="pool"))} == {"shop 1", "till 3"}
    assert rows_of(store.reports(whole, service="shop", kind="pool")) == [rows[1]]
    assert rows_of(store.reports(Window(now + 1, now + 2))) == [rows[1]]
    assert len(store.reports(whole, service="nobody")) == 0


def test_a_report_may_be_long_and_have_any_text(store: Store, make: Make) -> None:
    body = '{"plan": "' + "Ж'\"\x00" * 20_000 + '"}'
    store.append(Batch("w1", 1, reports=made([(make.NOON, "shop", "w1", "plan", "ü'", body)])))
    assert store.reports(Window(make.NOON, make.NOON + 1)).body == [body]


def test_reports_of_workers_long_gone_go(store: Store, clock: HandClock) -> None:
    now = int(clock.now_s())
    old = [(now - 20 * DAY_S, "shop", f"old {n}", "cache", "books", "{}") for n in range(30)]
    store.append(Batch("w1", 1, reports=made([])))
    for n, row in enumerate(old):
        store.append(Batch(row[2], 1, reports=made([row])))
        assert n == len(store.reports(Window(0, now + 1))) - 1
    store.append(Batch("w1", 2, reports=made([(now - DAY_S, "shop", "w1", "cache", "books", "{}")])))
    store.upkeep()
    assert store.reports(Window(0, now + 1)).worker == ["w1"]
    assert store.prune(now, dry_run=True) == 1
    assert store.prune(now) == 1
    assert len(store.reports(Window(0, now + 1))) == 0
    assert {table.name: table.rows for table in store.size().tables}["report"] == 0
