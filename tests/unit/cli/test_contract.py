"""The JSON contract: what docs/json.md promises is what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "json.md"
STATS = {
    "requests", "errors", "error_ratio", "rate_per_s", "mean_s", "min_s", "p50_s", "p90_s", "p95_s", "p99_s", "max_s",
    "bytes", "total_s",
}  # fmt: skip
ROUTE = STATS | {"route", "severity", "time_ratio", "popularity", "breakdown"}
OVERVIEW = STATS | {"routes", "clients_left", "cache_hit_ratio", "cache_lookups", "uptime_ratio"}
HEAD = {"version", "window", "service"}


def printed(ran: Any) -> Any:
    assert ran.err == ""
    return json.loads(ran.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))


def test_report_has_overview_routes_health_and_verdict(pitstop: Any, store_url: str) -> None:
    seen = printed(pitstop("report", "--store", store_url, "--service", "shop", "--json"))
    assert set(seen) == HEAD | {"overview", "routes", "health", "verdict", "queries", "n_plus_one", "errors"}
    assert (seen["version"], seen["service"]) == (1, "shop")
    assert seen["window"]["end_s"] - seen["window"]["start_s"] == 900
    assert set(seen["overview"]) == OVERVIEW
    assert set(seen["health"]) == {"score", "letter", "note", "parts"}
    assert [set(part) for part in seen["health"]["parts"]] == [{"name", "score", "weight", "value", "note"}] * 3
    assert set(seen["verdict"]) == {"tone", "text", "routes"}
    assert seen["overview"]["requests"] == 600
    assert seen["overview"]["errors"] == 30
    assert seen["overview"]["cache_hit_ratio"] is None


def test_a_route_row_has_every_promised_field_with_the_exact_counts(pitstop: Any, store_url: str) -> None:
    seen = printed(pitstop("routes", "--store", store_url, "--json"))
    assert set(seen) == HEAD | {"routes"}
    assert [set(route) for route in seen["routes"]] == [ROUTE] * 3
    orders = seen["routes"][0]
    assert (orders["route"], orders["requests"], orders["errors"], orders["error_ratio"]) == (
        "POST /orders",
        150,
        30,
        0.2,
    )
    assert (orders["severity"], orders["bytes"], orders["max_s"]) == ("slow", 150_000, 0.7)
    assert orders["rate_per_s"] == pytest.approx(150 / 900)
    assert orders["p95_s"] == pytest.approx(0.7, rel=0.011)


def test_health_runtime_and_storage_have_their_fields(pitstop: Any, store_url: str) -> None:
    assert set(printed(pitstop("health", "--store", store_url, "--json"))) == HEAD | {"health"}
    runtime = printed(pitstop("runtime", "--store", store_url, "--json"))
    assert set(runtime) == HEAD | {"runtime"}
    assert set(runtime["runtime"]) == {"step_s", "workers", "gauges"}
    assert set(runtime["runtime"]["gauges"][0]) == {"name", "worker", "last", "highest", "ts", "values"}
    storage = printed(pitstop("storage", "status", "--store", store_url, "--json"))
    assert set(storage) == {"version", "storage"}
    assert set(storage["storage"]) == {
        "url", "state", "schema", "data_bytes", "log_bytes", "free_bytes", "series", "lease_holder", "lease_until_s",
        "tables",
    }  # fmt: skip
    assert set(storage["storage"]["tables"][0]) == {"name", "rows", "step_s", "oldest_s", "newest_s"}


def test_missing_data_is_null_and_not_zero(pitstop: Any, store_url: str) -> None:
    seen = printed(pitstop("report", "--store", store_url, "--from", "1000", "--to", "2000", "--json"))
    assert (seen["overview"]["requests"], seen["routes"]) == (0, [])
    for field in ("error_ratio", "mean_s", "p95_s", "bytes", "uptime_ratio"):
        assert seen["overview"][field] is None
    assert (seen["health"]["score"], seen["health"]["letter"]) == (None, None)
    assert seen["verdict"]["tone"] == "no data"


def test_the_document_names_every_field(pitstop: Any, store_url: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(names(inner) for inner in value.values()))
        return set().union(*(names(inner) for inner in value)) if isinstance(value, list) else set()

    for command in (["report"], ["runtime"], ["storage", "status"], ["doctor"], ["storage", "prune", "--keep", "7d"]):
        ran = pitstop(*command, "--store", store_url, "--json")
        missing = {name for name in names(json.loads(ran.out)) if f"`{name}`" not in text}
        assert not missing
