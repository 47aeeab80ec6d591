# ruff: noqa: ANN001, ANN201  fixtures are known by name
"""Upkeep of SQLite's files: done where it is worth it, told where not."""

from __future__ import annotations

import pytest

from pitstop.model.errors import SettingError
from pitstop.tune.database import create_engine, maintain, upkeep


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A file whose log and empty space are large by these measures."""
    monkeypatch.setattr(upkeep, "LOG_BYTES", 100_000)
    monkeypatch.setattr(upkeep, "FREE_BYTES", 100_000)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
        connection.exec_driver_sql("CREATE TABLE things (id integer PRIMARY KEY, a integer, b text)")
        connection.exec_driver_sql("CREATE INDEX things_a ON things (a)")
        connection.exec_driver_sql(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000)"
            " INSERT INTO things SELECT x, x % 7, printf('%200s', x) FROM n"
        )
        connection.exec_driver_sql("DELETE FROM things WHERE id > 500")
    yield engine
    engine.dispose()


def test_a_dry_run_tells_what_it_would_do_and_changes_nothing(engine, tmp_path):
    before = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    steps = {step.what: step for step in maintain(engine, dry_run=True)}
    assert not any(step.done for step in steps.values())
    assert "the log has" in steps["checkpoint"].why
    assert steps["vacuum"].why.endswith("are empty")
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == before


def test_log_statistics_and_empty_space_are_looked_after(engine, tmp_path):
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM things WHERE a = 5").all()
    steps = {step.what: step for step in maintain(engine)}
    assert steps["checkpoint"].done
    assert steps["checkpoint"].bytes_after == 0
    assert steps["vacuum"].done
    assert steps["vacuum"].bytes_after < steps["vacuum"].bytes_before / 5
    assert (tmp_path / "shop.db").stat().st_size == steps["vacuum"].bytes_after
    again = maintain(engine)
    assert not any(step.done for step in again if step.what != "optimize")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("SELECT count(*) FROM things").scalar() == 500


def test_statistics_are_made_where_the_planner_has_none(engine):
    step = next(step for step in maintain(engine) if step.what == "optimize")
    if step.done:  # from SQLite 3.46 on it looks at tables that nobody asked for yet
        assert "things" in step.why
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SELECT count(*) FROM things WHERE a = 5").all()
        connection.exec_driver_sql("ANALYZE")
    step = next(step for step in maintain(engine) if step.what == "optimize")
    assert (step.done, step.why) == (False, "its statistics are as they should be")


def test_a_reader_that_stays_open_keeps_the_log_and_is_told_of(engine):
    with engine.connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT * FROM things").fetchone()
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 50")
        step = maintain(engine, vacuum=False)[0]
    assert not step.done
    assert "somebody reads or writes" in step.why


def test_incremental_files_give_back_what_is_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(upkeep, "FREE_BYTES", 100_000)
    engine = create_engine(f"sqlite:///{tmp_path}/small.db", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("CREATE TABLE things (b blob)")
        connection.exec_driver_sql("INSERT INTO things VALUES (zeroblob(2000000))")
        connection.exec_driver_sql("DELETE FROM things")
    step = maintain(engine)[-1]
    assert (step.done, step.sql) == (True, "PRAGMA incremental_vacuum")
    assert step.bytes_after < step.bytes_before / 5
    engine.dispose()


def test_a_disk_without_room_is_not_filled(engine, monkeypatch):
    monkeypatch.setattr(upkeep, "_ROOM", 1e12)
    step = maintain(engine)[-1]
    assert not step.done
    assert "but the disk has only" in step.why


def test_databases_without_a_file_are_refused(postgres_url):
    for url in ("sqlite://", "sqlite:///:memory:", postgres_url):
        with pytest.raises(SettingError, match="only SQLite's files"):
            maintain(create_engine(url))
