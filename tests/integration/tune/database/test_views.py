# ruff: noqa: ANN001, ANN201, ANN202  fixtures are known by name
"""Materialized views: made, refreshed by one of many, with an age."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pitstop.model.errors import SettingError
from pitstop.tune.database import Refresher, View, create_engine, ensure_view, refresh_view, view_age_s

TOTALS = View(
    "totals", "SELECT status, sum(total)::bigint AS total, '50%:x' AS note FROM orders GROUP BY status", ("status",)
)


@pytest.fixture
def engine(postgres_url):
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP MATERIALIZED VIEW IF EXISTS totals")
    yield engine
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP MATERIALIZED VIEW IF EXISTS totals")
    engine.dispose()


def rows(engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM totals").scalar()


def until(condition):
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_view_is_made_once_and_anew_when_its_query_changes(engine):
    shown = ensure_view(engine, TOTALS, dry_run=True)
    assert not shown.done
    assert len(shown.sql) == 2
    assert ensure_view(engine, TOTALS).done
    assert ensure_view(engine, TOTALS).sql == ()
    assert rows(engine) == 2
    changed = TOTALS.__class__("totals", "SELECT DISTINCT status FROM orders WHERE status = 'open'", ("status",))
    again = ensure_view(engine, changed)
    assert again.sql[0] == "DROP MATERIALIZED VIEW totals"
    assert "another query" in again.why
    assert rows(engine) == 1
    assert 0 <= view_age_s(engine, "totals") < 10


def test_readers_go_on_while_a_view_is_refreshed(engine):
    ensure_view(engine, TOTALS)
    with engine.begin() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM totals").scalar() == 2  # its lock is held
        done = refresh_view(engine, TOTALS)
    assert done.done
    assert done.concurrently
    assert done.took_s > 0


def test_a_view_without_unique_columns_is_refreshed_with_a_lock(engine):
    view = View("totals", "SELECT count(*) AS n FROM orders")
    ensure_view(engine, view)
    done = refresh_view(engine, view)
    assert (done.done, done.concurrently) == (True, False)


def test_of_many_workers_one_refreshes(engine):
    ensure_view(engine, TOTALS)
    barrier = threading.Barrier(8)

    def work(_):
        barrier.wait()
        return refresh_view(engine, TOTALS, older_than_s=0.0 if _ < 0 else 0.05)

    until(lambda: view_age_s(engine, "totals") > 0.06)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(work, range(8)))
    assert sum(one.done for one in done) == 1


def test_what_is_fresh_enough_is_left_alone(engine):
    ensure_view(engine, TOTALS)
    assert not refresh_view(engine, TOTALS, older_than_s=60).done


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (View("totals", "DELETE FROM orders RETURNING id"), "only statements that read"),
        (View("totals", "SELECT 1; DROP TABLE orders"), "more than one"),
        (View("to tals", "SELECT 1"), "is no name"),
        (View("totals", "SELECT nothing FROM orders"), "was not made"),
        (View("totals", "SELECT status FROM orders", ("status",)), "was not made"),
    ],
)
def test_what_is_no_view_is_refused_and_leaves_nothing(engine, view, words):
    with pytest.raises(SettingError, match=words):
        ensure_view(engine, view)
    with pytest.raises(SettingError, match="there is no materialized view"):
        view_age_s(engine, "totals")
    with pytest.raises(SettingError, match="there is no materialized view"):
        refresh_view(engine, View("totals", "SELECT 1"))


def test_other_databases_have_no_such_views(sqlite_url):
    with pytest.raises(SettingError, match="sqlite has no materialized views"):
        ensure_view(create_engine(sqlite_url), TOTALS)


def test_a_comment_of_somebody_elses_is_no_age(engine):
    ensure_view(engine, TOTALS)
    for comment in ("ours", "5", '{"pitstop": 5}'):
        with engine.begin() as connection:
            connection.exec_driver_sql(f"COMMENT ON MATERIALIZED VIEW totals IS '{comment}'")
        assert view_age_s(engine, "totals") is None


def test_a_refresher_works_on_its_schedule_and_soon_after_it_was_woken(engine):
    ensure_view(engine, TOTALS)
    now = [0.0]
    refresher = Refresher(engine, TOTALS, every_s=3600, least_s=0.0, now=lambda: now[0])
    assert 3590 < refresher.turn() <= 3600  # it was filled when it was made
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO orders VALUES (-1, 1, 1, 'lost')")
    try:
        assert rows(engine) == 2
        refresher.wake()
        refresher.turn()
        assert rows(engine) == 3
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM orders WHERE id = -1")


@pytest.fixture
def changed(engine):
    """Adds a row that the view has not seen yet when called; it is gone at the end."""
    ensure_view(engine, TOTALS)

    def change() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO orders VALUES (-1, 1, 1, 'lost')")

    yield change
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM orders WHERE id = -1")


def turn_until_seen(engine, refresher):
    """As its thread does."""
    deadline_s = time.monotonic() + 10
    while rows(engine) != 3:
        assert time.monotonic() < deadline_s, "the view stays as it was"
        time.sleep(min(refresher.turn(), 1))


def test_a_refresher_that_is_woken_while_it_refreshes_does_so_again(engine, changed, monkeypatch):
    refresher = Refresher(engine, TOTALS, every_s=3600, least_s=0.2)

    def refresh_meanwhile(engine, view, older_than_s):
        result = refresh_view(engine, view, older_than_s=older_than_s)
        if result.done and not rung:
            rung.append(True)
            changed()
            refresher.wake()
        return result

    rung = []
    monkeypatch.setattr("pitstop.tune.database.refresher.refresh_view", refresh_meanwhile)
    refresher.wake()
    turn_until_seen(engine, refresher)


def test_a_refresher_that_is_woken_while_another_worker_refreshes_does_so_after_it(engine, changed):
    refresher = Refresher(engine, TOTALS, every_s=3600, least_s=0.01)
    changed()
    with engine.begin() as other:
        other.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended('pitstop totals', 4711))")
        refresher.wake()
        assert refresher.turn() < 1
    turn_until_seen(engine, refresher)


def test_a_refresher_that_is_woken_and_fails_remembers_it(engine, changed, monkeypatch):
    refresher = Refresher(engine, TOTALS, every_s=3600, least_s=0.0)
    changed()
    refresher.wake()
    with monkeypatch.context() as patched:
        patched.setattr(refresher, "view", View("nothing", "SELECT 1"))
        assert refresher.turn() == 2
    turn_until_seen(engine, refresher)


def test_of_workers_that_are_woken_together_one_refreshes_once(engine, changed):
    refreshers = [Refresher(engine, TOTALS, every_s=3600, least_s=0.01) for _ in range(3)]
    changed()
    for refresher in refreshers:
        refresher.wake()
    turn_until_seen(engine, refreshers[0])
    before = view_age_s(engine, "totals")
    assert all(refresher.turn() > 3000 for refresher in refreshers[1:])
    assert view_age_s(engine, "totals") > before


def test_a_refresher_that_fails_tries_again_later_each_time(engine):
    refresher = Refresher(engine, TOTALS, every_s=60, least_s=1)
    waits = [refresher.turn() for _ in range(12)]
    assert waits[:3] == [2, 4, 8]
    assert waits[-1] == 600


def test_a_refreshers_thread_is_woken_and_stopped(engine):
    ensure_view(engine, TOTALS)
    refresher = Refresher(engine, TOTALS, every_s=3600, least_s=0.01)
    refresher.start()
    until(lambda: refresher._last_s is not None)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO orders VALUES (-1, 1, 1, 'lost')")
    try:
        refresher.wake("orders")
        until(lambda: rows(engine) == 3)
    finally:
        refresher.stop()
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM orders WHERE id = -1")


def test_a_schedule_needs_times(engine):
    with pytest.raises(SettingError, match="every_s = 0"):
        Refresher(engine, TOTALS, every_s=0)
