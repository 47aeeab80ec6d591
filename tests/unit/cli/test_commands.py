"""What people see, and what scripts get back."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from pitstop import __version__
from pitstop.cli.export import _harmless
from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

READING = (["report"], ["routes"], ["health"], ["runtime"], ["storage"], ["storage", "status"], ["doctor"])


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_every_answer_fits_80_columns_and_is_plain_where_there_is_no_terminal(
    pitstop: Any, store_url: str, command: list[str]
) -> None:
    ran = pitstop(*command, "--store", store_url)
    assert ran.code in {0, 1}
    assert "\x1b" not in ran.out
    assert "0.00 " not in ran.out
    too_long = [line for line in ran.out.splitlines() if len(line) > 80 and "/" not in line]
    assert not too_long


def test_the_report_says_what_is_wrong_and_where(pitstop: Any, store_url: str) -> None:
    ran = pitstop("report", "--store", store_url)
    assert ran.code == 0
    assert "POST /orders fails 20 % of requests (30 of 150)" in ran.out
    assert "no cache seen" in ran.out
    assert "◆ slow" in ran.out
    assert "✓ good" in ran.out
    assert "…" in ran.out


def test_routes_sort_and_stop_where_they_are_told(pitstop: Any, store_url: str) -> None:
    ran = pitstop("routes", "--store", store_url, "--sort", "requests", "--limit", "1", "--json")
    assert [route["route"] for route in json.loads(ran.out)["routes"]] == ["GET /items/{item_id}"]


def test_a_wide_terminal_shows_more(pitstop: Any, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mean ms" not in pitstop("routes", "--store", store_url).out
    monkeypatch.setenv("COLUMNS", "160")
    wide = pitstop("routes", "--store", store_url).out
    assert "mean ms" in wide
    assert max(map(len, wide.splitlines())) <= 120


@pytest.mark.parametrize("command", [["report"], ["routes"], ["health"], ["runtime"]], ids=" ".join)
def test_an_empty_window_says_so_and_what_to_type_next(pitstop: Any, store_url: str, command: list[str]) -> None:
    ran = pitstop(*command, "--store", store_url, "--from", "1000", "--to", "2000")
    assert ran.code == 0
    assert "pitstop run" in ran.out


def test_health_is_a_gate_when_it_has_a_threshold(pitstop: Any, store_url: str) -> None:
    assert pitstop("health", "--store", store_url, "--fail-under", "1").code == 0
    failed = pitstop("health", "--store", store_url, "--fail-under", "99")
    assert failed.code == 1
    assert "is below 99" in failed.err
    empty = pitstop("health", "--store", store_url, "--from", "1000", "--to", "2000", "--fail-under", "1")
    assert empty.code == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["report", "--store", "mysql://x"], "mysql://x"),
        (["report", "--store", "sqlite:///nowhere.db"], "nowhere.db"),
        (["routes", "--last", "5x"], "15m"),
        (["routes", "--last", "1h", "--from", "1000"], "leave one out"),
        (["routes", "--from", "yesterday"], "ISO 8601"),
        (["routes", "--from", "1795260231000"], "milliseconds"),
        (["routes", "--from", "2000", "--to", "1000"], "turn them round"),
        (["storage", "prune"], "--keep 30d"),
        (["storage", "--json", "prune"], "behind the command"),
        (["demo"], "make demo"),
        (["run"], "pitstop run -- "),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    pitstop: Any, arguments: list[str], word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pitstop.cli.demo.__file__", str(tmp_path / "a" / "b" / "c" / "demo.py"))
    ran = pitstop(*arguments)
    assert ran.code == 2
    assert word in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_asking_never_makes_a_store(pitstop: Any, tmp_path: Path) -> None:
    for command in (*READING, ["export", "csv"], ["storage", "checkpoint"], ["storage", "prune", "--keep", "1d"]):
        assert pitstop(*command).code in {1, 2}
    assert list(tmp_path.iterdir()) == []


def test_the_store_comes_from_the_environment(pitstop: Any, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_STORE", store_url)
    assert "POST /orders" in pitstop("routes").out


def test_times_may_be_iso_or_unix(pitstop: Any, store_url: str) -> None:
    begin = int(time.time()) - 600
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin))
    for text in (str(begin), iso, iso.replace("Z", "+00:00"), iso.rstrip("Z")):
        seen = json.loads(pitstop("routes", "--store", store_url, "--from", text, "--json").out)
        assert seen["window"]["start_s"] == begin
        assert sum(route["requests"] for route in seen["routes"]) == 600


def test_prune_asks_and_names_what_goes(pitstop: Any, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = str(int(time.time()) + 60)
    dry = json.loads(pitstop("storage", "prune", "--store", store_url, "--before", before, "--dry-run", "--json").out)
    assert dry["prune"]["rows"] > 100
    assert dry["prune"]["deleted"] == 0
    assert (
        "nothing was deleted" in pitstop("storage", "prune", "--store", store_url, "--before", before, "--dry-run").out
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = pitstop("storage", "prune", "--store", store_url, "--before", before)
    assert refused.code == 1
    assert "cannot be undone" in refused.err
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert "Deleted" in pitstop("storage", "prune", "--store", store_url, "--before", before).out
    assert "Nothing in" in pitstop("storage", "prune", "--store", store_url, "--before", before, "--yes").out
    assert json.loads(pitstop("routes", "--store", store_url, "--json").out)["routes"] == []


def test_keep_leaves_what_is_young(pitstop: Any, store_url: str) -> None:
    assert "older than" in pitstop("storage", "prune", "--store", store_url, "--keep", "1d").out
    assert len(json.loads(pitstop("routes", "--store", store_url, "--json").out)["routes"]) == 3


def test_checkpoint_and_migrate_say_what_they_did(pitstop: Any, store_url: str, tmp_path: Path) -> None:
    assert "of log" in pitstop("storage", "checkpoint", "--store", store_url).out
    assert "log_bytes" in json.loads(pitstop("storage", "checkpoint", "--store", store_url, "--json").out)["checkpoint"]
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    assert "state ok" in pitstop("storage", "migrate", "--store", fresh).out
    assert json.loads(pitstop("storage", "migrate", "--store", fresh, "--json").out)["migrate"]["schema"] >= 1
    assert (tmp_path / "fresh.db").is_file()


def test_exported_rows_add_up_to_what_was_recorded(pitstop: Any, store_url: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert pitstop("export", "csv", "--store", store_url, "--step", "1m", "--output", str(out)).code == 0
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert sum(int(row["requests"]) for row in rows) == 600
    assert sum(int(row["errors"]) for row in rows) == 30
    assert {row["outcome"] for row in rows} == {"200", "500"}
    seen = json.loads(pitstop("export", "json", "--store", store_url, "--step", "1m", "--kind", "http").out)
    assert seen["step_s"] == 60
    assert [int(row["ts"]) for row in rows] == [row["ts"] for row in seen["rows"]]
    assert json.loads(pitstop("export", "json", "--store", store_url, "--kind", "db").out)["rows"] == []
    assert pitstop("export", "csv", "--store", store_url, "--output", str(tmp_path / "no" / "out.csv")).code == 2


def test_names_that_a_spreadsheet_would_run_are_made_harmless() -> None:
    assert [_harmless(text) for text in ("=1+1", "@SUM(A1)", "-x", "GET /", 3)] == [
        "'=1+1",
        "'@SUM(A1)",
        "'-x",
        "GET /",
        3,
    ]


def test_doctor_finds_nothing_wrong_with_a_store_that_is_recorded_and_kept(pitstop: Any, store_url: str) -> None:
    store = open_store(store_url)
    assert store.lease("somebody", 60)
    store.close()
    ran = pitstop("doctor", "--store", store_url, "--json")
    checks = {check["name"]: check for check in json.loads(ran.out)["checks"]}
    assert {
        name: checks[name]["state"] for name in ("python", "sqlite", "store", "housekeeping", "recording", "drops")
    } == (dict.fromkeys(("python", "sqlite", "store", "housekeeping", "recording", "drops"), "ok"))
    assert "4.2 µs a request" in checks["cost"]["text"]
    settings = {row["name"]: row for row in json.loads(ran.out)["settings"]}
    assert (settings["store"]["value"], settings["store"]["source"]) == (store_url, "argument")
    assert settings["sample_rate"]["source"] == "default"


def test_doctor_says_what_is_amiss_and_exits_1(pitstop: Any, tmp_path: Path) -> None:
    ran = pitstop("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(ran.out)["checks"]}
    assert ran.code == 1
    assert checks["store"]["state"] == "bad"
    (tmp_path / "bad.db").write_bytes(b"this is no database" * 100)
    damaged = pitstop("doctor", "--store", f"sqlite:///{tmp_path}/bad.db", "--json")
    assert damaged.code == 1
    assert json.loads(damaged.out)["checks"][-1]["state"] == "bad"


def test_version_and_help_are_there(pitstop: Any) -> None:
    assert pitstop("--version").out == f"pitstop {__version__}\n"
    listed = pitstop("--help").out
    for command in ("run", "serve", "demo", "report", "routes", "health", "runtime", "export", "storage", "doctor"):
        assert f" {command} " in listed


def test_a_hostile_name_cannot_steer_the_terminal(pitstop: Any, store_url: str) -> None:
    store = open_store(store_url)
    rollups = Rollups()
    rollups.ts.append(int(time.time()) - 100)
    rollups.series.append(Series("shop", "", "http", "GET /\x1b[2J\r\nfake", "", "500"))
    rollups.count.append(50)
    rollups.sum_ns.append(50 * 10**9)
    rollups.min_ns.append(10**9)
    rollups.max_ns.append(10**9)
    rollups.nbytes.append(0)
    rollups.hist.append(encode({position_of(10**9): 50}))
    store.append(Batch("evil:1", 0, rollups))
    store.close()
    for command in ("report", "routes"):
        out = pitstop(command, "--store", store_url).out
        assert "\x1b" not in out
        assert "\r" not in out
        assert "GET /\N{REPLACEMENT CHARACTER}[2J" in out
