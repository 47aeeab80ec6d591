"""The commands that look inside requests."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "json.md"
QUERY = "SELECT orders.id, orders.total FROM orders WHERE orders.id = ?"
PLACE = "shop/orders.py:12 in list_orders"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
READING = (
    ["queries"], ["traces"], ["trace", TRACE], ["trace", TRACE, "--all"], ["errors", "--stack"], ["profile"],
    ["profile", "--last", "5m", "--compare-to", "1h"], ["report"], ["routes"],
)  # fmt: skip


def printed(ran: Any) -> Any:
    assert ran.err == ""
    return json.loads(ran.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_every_answer_fits_80_columns_and_is_plain_where_there_is_no_terminal(
    pitstop: Any, insides_url: str, command: list[str]
) -> None:
    ran = pitstop(*command, "--store", insides_url)
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in ran.out
    assert not [line for line in ran.out.splitlines() if len(line) > 80]


def test_queries_has_rows_and_n_plus_one(pitstop: Any, insides_url: str) -> None:
    seen = printed(pitstop("queries", "--store", insides_url, "--service", "shop", "--json"))
    assert set(seen) == {"version", "window", "service", "queries", "n_plus_one"}
    row = seen["queries"][0]
    assert set(row) == {
        "statement", "calls", "errors", "rate_per_s", "total_s", "mean_s", "p50_s", "p95_s", "p99_s", "max_s", "rows",
        "rows_per_call", "time_ratio", "routes", "by_route",
    }  # fmt: skip
    assert (row["statement"], row["calls"], row["rows"], row["routes"]) == (QUERY, 3000, 3000, ["POST /orders"])
    assert (row["total_s"], row["mean_s"]) == (pytest.approx(60), pytest.approx(0.02))
    assert row["by_route"] == [{"route": "POST /orders", "calls": 3000, "total_s": pytest.approx(60)}]
    assert seen["queries"][1]["errors"] == 30
    (again,) = seen["n_plus_one"]
    assert (again["route"], again["statement"], again["count"], again["line"]) == ("POST /orders", QUERY, 25, PLACE)
    assert again["requests_ratio"] == pytest.approx(120 / 150)
    assert "selectinload" in again["hint"]


def test_queries_are_told_by_route_sorted_and_limited(pitstop: Any, insides_url: str) -> None:
    by_rows = printed(pitstop("queries", "--store", insides_url, "--sort", "errors", "--limit", "1", "--json"))
    assert [row["statement"] for row in by_rows["queries"]] == ["INSERT INTO orders (total) VALUES (?)"]
    other = printed(pitstop("queries", "--store", insides_url, "--route", "GET /none", "--json"))
    assert (other["queries"], other["n_plus_one"]) == ([], [])
    text = pitstop("queries", "--store", insides_url).out
    assert "POST /orders: 25 times a request, 500 ms each time in 80 % of requests" in text
    assert f"at {PLACE}" in text


def test_a_trace_row_has_its_fields_and_filters_hold(pitstop: Any, insides_url: str) -> None:
    seen = printed(pitstop("traces", "--store", insides_url, "--json"))
    assert set(seen) == {"version", "window", "service", "traces"}
    newest, older = seen["traces"]
    assert set(newest) == {
        "trace_id", "service", "kind", "route", "started_at", "duration_s", "outcome", "reason", "weight", "spans",
        "left_out", "bytes", "fingerprint", "worker",
    }  # fmt: skip
    assert (newest["outcome"], newest["reason"], newest["fingerprint"]) == ("500", "failed", "9" * 16)
    assert (older["trace_id"], older["spans"], older["duration_s"], older["weight"]) == (TRACE, 27, 0.7, 1)
    for filters, number in (
        (["--reason", "n+1"], 1), (["--outcome", "500"], 1), (["--route", "GET /x"], 0), (["--min", "0.8"], 0),
        (["--min", "0.7"], 2), (["--max", "0.7"], 0), (["--limit", "1", "--slowest"], 1),
    ):  # fmt: skip
        assert len(printed(pitstop("traces", "--store", insides_url, *filters, "--json"))["traces"]) == number
    wrong = pitstop("traces", "--store", insides_url, "--reason", "bored")
    assert wrong.code == 2
    assert "'bored' is no reason" in wrong.err


def test_a_waterfall_folds_what_repeats_and_names_code_lines_and_gaps(pitstop: Any, insides_url: str) -> None:
    text = pitstop("trace", TRACE, "--store", insides_url).out
    lines = text.splitlines()
    assert lines[0] == "POST /orders · 200 · 700 ms"
    (folded,) = [line for line in lines if "×25" in line]
    assert "█" in folded
    assert folded.split()[-2:] == ["450", "450"]
    (around,) = [line for line in lines if "price basket" in line and "─" in line]
    assert around.split()[-2:] == ["600", "150"]
    assert f"25 × db: {PLACE}" in text
    assert "own code" in text
    everything = pitstop("trace", TRACE, "--store", insides_url, "--all").out
    assert len([line for line in everything.splitlines() if "SELECT" in line or "db" in line]) >= 25


def test_the_waterfall_of_a_failed_request_says_what_it_failed_with(pitstop: Any, insides_url: str) -> None:
    text = pitstop("trace", "00f067aa", "--store", insides_url).out
    assert f"▲ ValueError: total … is negative at {PLACE}" in text
    assert "▲ db INSERT INTO x" in text


def test_a_trace_of_many_different_spans_shows_the_longest_and_counts_the_rest(
    pitstop: Any, store_url: str, wide_trace: int
) -> None:
    short = pitstop("trace", "77" * 16, "--store", store_url).out
    assert len(short.splitlines()) < 90
    assert "function step 299" in short
    assert "function step 1 " not in short
    assert f"… and {wide_trace + 1 - 60} lines of shorter spans" in short
    everything = pitstop("trace", "77" * 16, "--store", store_url, "--all").out
    assert all(f"step {i} " in everything for i in range(wide_trace))
    assert "3 spans were not kept" in everything


def test_a_trace_is_found_by_how_its_id_begins(pitstop: Any, insides_url: str) -> None:
    seen = printed(pitstop("trace", TRACE[:6].upper(), "--store", insides_url, "--json"))
    assert set(seen) == {"version", "trace"}
    tree = seen["trace"]
    assert (tree["trace_id"], len(tree["spans"]), tree["parts"][0]["reason"]) == (TRACE, 28, "n+1")
    root, basket = tree["spans"][:2]
    assert (root["parent"], basket["parent"], basket["name"]) == (None, 0, "price basket")
    assert basket["self_s"] == pytest.approx(0.15)
    assert tree["spans"][2]["line"] == PLACE
    assert tree["self_s"]["db"] == pytest.approx(0.45)
    for text, code in (("dead", 2), ("x" * 32, 2), ("ab", 2), ("a" * 32, 2)):
        ran = pitstop("trace", text, "--store", insides_url)
        assert (ran.code, ran.out) == (code, "")
        assert text in ran.err


def test_an_error_row_has_its_exact_count_and_where_it_was_raised(pitstop: Any, insides_url: str) -> None:
    seen = printed(pitstop("errors", "--store", insides_url, "--json"))
    (row,) = seen["errors"]
    assert set(row) == {
        "type", "service", "route", "line", "count", "message", "first_s", "last_s", "is_new", "fingerprint", "stack",
        "trace_id",
    }  # fmt: skip
    assert (row["type"], row["route"], row["count"], row["line"]) == ("ValueError", "POST /orders", 30, PLACE)
    assert row["stack"] == ["shop/app.py:3 in order", PLACE]
    text = pitstop("errors", "--store", insides_url, "--stack").out
    assert "ValueError in POST /orders: 30 times" in text
    assert "total … is negative" in text
    assert "shop/app.py:3 in order" in text


def test_a_profile_is_a_table_or_a_file_for_other_tools(pitstop: Any, insides_url: str, tmp_path: Path) -> None:
    text = pitstop("profile", "--store", insides_url, "--last", "5m").out
    assert "2 s of wall time in 100 samples" in text
    (slow,) = [line for line in text.splitlines() if "slow (app.py:9)" in line]
    assert slow.split()[2:] == ["60", "60", "1.2", "60"]
    folded = pitstop("profile", "--store", insides_url, "--last", "5m", "--format", "folded").out
    assert sorted(folded.splitlines()) == [
        "main (app.py:1);fast (app.py:5) 800000000", "main (app.py:1);slow (app.py:9) 1200000000",
    ]  # fmt: skip
    for form in ("speedscope", "pprof"):
        ran = pitstop("profile", "--store", insides_url, "--format", form, "-o", str(tmp_path / form))
        assert (ran.code, ran.out) == (0, "")
    assert json.loads((tmp_path / "speedscope").read_text())["profiles"][0]["type"] == "sampled"
    assert b"slow" in gzip.decompress((tmp_path / "pprof").read_bytes())
    assert pitstop("profile", "--store", insides_url, "--mode", "cpu").out.endswith("pitstop doctor\n")


def test_a_profile_compared_says_what_changed(pitstop: Any, insides_url: str) -> None:
    arguments = ("profile", "--store", insides_url, "--last", "5m", "--compare-to", "65m")
    seen = printed(pitstop(*arguments, "--json"))["profile"]
    assert set(seen) == {"mode", "samples", "total_s", "functions", "tree", "compared"}
    assert seen["tree"]["children"][0]["name"] == "main (app.py:1)"
    changed = {row["name"]: row["delta_ratio"] for row in seen["compared"]["functions"]}
    assert changed == {"slow (app.py:9)": pytest.approx(0.4), "fast (app.py:5)": pytest.approx(-0.4)}
    text = pitstop(*arguments).out
    assert "+40" in text
    assert "−40" in text
    assert "no stacks in the window to compare" in pitstop(*arguments[:-1], "7d").out
    both = pitstop(*arguments, "--format", "folded")
    assert both.code == 2
    assert "--compare-to" in both.err


def test_routes_say_where_the_time_of_a_request_goes(pitstop: Any, insides_url: str) -> None:
    orders = printed(pitstop("routes", "--store", insides_url, "--json"))["routes"][0]
    spent = orders["breakdown"]
    assert set(spent) == {
        "db_s", "cache_s", "http_client_s", "template_s", "queue_s", "gc_s", "pool_wait_s", "loop_wait_s", "own_s",
    }  # fmt: skip
    assert spent["db_s"] == pytest.approx(0.5)
    assert spent["gc_s"] == pytest.approx(0.002)
    assert sum(spent.values()) == pytest.approx(orders["mean_s"])


def test_the_report_names_the_worst_statements_repetitions_and_errors(pitstop: Any, insides_url: str) -> None:
    text = pitstop("report", "--store", insides_url).out
    assert "SELECT orders.id" in text
    assert "25 times a request" in text
    assert "ValueError in POST /orders" in text
    seen = printed(pitstop("report", "--store", insides_url, "--json"))
    assert [row["calls"] for row in seen["queries"]] == [3000, 150]
    assert [row["count"] for row in seen["n_plus_one"]] == [25]
    assert [row["count"] for row in seen["errors"]] == [30]


def test_export_has_tables_of_statements_traces_and_errors(pitstop: Any, insides_url: str) -> None:
    for table, number, word in (("queries", 2, QUERY), ("traces", 2, TRACE), ("errors", 1, "ValueError")):
        written = io.StringIO(pitstop("export", "csv", "--table", table, "--store", insides_url).out)
        head, *rows = csv.reader(written)
        assert (len(rows), {len(row) for row in rows}) == (number, {len(head)})
        assert any(word in row for row in rows)
        seen = printed(pitstop("export", "json", "--table", table, "--store", insides_url))
        assert (seen["table"], len(seen["rows"])) == (table, number)
    ran = pitstop("export", "csv", "--table", "queries", "--step", "1h", "--store", insides_url)
    assert ran.code == 2
    assert "--step" in ran.err


@pytest.mark.parametrize("command", [["queries"], ["traces"], ["errors"], ["profile"]], ids=" ".join)
def test_an_empty_window_says_so(pitstop: Any, insides_url: str, command: list[str]) -> None:
    ran = pitstop(*command, "--store", insides_url, "--from", "1000", "--to", "2000")
    assert (ran.code, ran.err) == (0, "")
    assert "in this window" in ran.out


def test_the_document_names_every_field(pitstop: Any, insides_url: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(names(inner) for inner in value.values()))
        return set().union(*(names(inner) for inner in value)) if isinstance(value, list) else set()

    for command in (["queries"], ["traces"], ["trace", TRACE], ["errors"], ["routes"], ["profile"]):
        ran = pitstop(*command, "--store", insides_url, "--json")
        missing = {name for name in names(json.loads(ran.out)) if f"`{name}`" not in text}
        assert not missing
