"""The JSON API over a real store: right numbers, one error shape, a contract that holds."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import fields
from typing import Any

import httpx
import pytest

from pitstop import analyze
from pitstop.dashboard import Keyring, create_app
from pitstop.dashboard.api import answers
from pitstop.store.sqlite import SqliteStore

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
LEFT_OUT = {"mean_error_s", "p50_range_s", "p95_range_s", "p99_range_s"}  # inner workings of the comparison


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        (answers.StatsOut, analyze.Stats),
        (answers.OverviewOut, analyze.Overview),
        (answers.HealthOut, analyze.Health),
        (answers.HealthPartOut, analyze.HealthPart),
        (answers.VerdictOut, analyze.Verdict),
        (answers.RouteDetailOut, analyze.RouteDetail),
        (answers.StatusOut, analyze.StatusRow),
        (answers.TrendOut, analyze.Trend),
        (answers.HeatmapOut, analyze.Heatmap),
        (answers.GaugeOut, analyze.Gauge),
        (answers.RuntimeOut, analyze.Runtime),
        (answers.ServiceOut, analyze.ServiceRow),
    ],
)
def test_every_shape_has_the_fields_of_its_answer(shape: Any, answer: Any) -> None:
    assert set(shape.model_fields) == {field.name for field in fields(answer)} - LEFT_OUT


def test_every_call_answers_and_the_counts_agree(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        span = {"from": int(time.time()) - 7200, "to": int(time.time()) - 30, "service": "shop"}
        overview = client.get("/api/v1/overview", params=span).json()
        routes = client.get("/api/v1/routes", params=span).json()
        trend = client.get("/api/v1/routes/trend", params=span).json()
        heatmap = client.get("/api/v1/heatmap", params=span).json()
        total = overview["stats"]["requests"]
        assert total > 10_000
        assert routes["total"] == overview["routes"] == len(dashboard.routes)
        assert sum(row["requests"] for row in routes["routes"]) == total
        assert sum(n or 0 for n in trend["requests"]) == total
        assert sum(map(sum, heatmap["counts"])) == total
        assert 0.8 < overview["cache_hit_ratio"] < 0.9
        health = client.get("/api/v1/health", params=span).json()
        [latency] = [part for part in health["parts"] if part["name"] == "latency"]
        assert latency["value"] == overview["stats"]["p95_s"]
        assert latency["weight"] == pytest.approx(0.4), "a cache was seen: no weight is shared"
        detail = client.get("/api/v1/routes/detail", params=span | {"route": "POST /checkout"}).json()
        assert [row["status"] for row in detail["statuses"]] == ["200", "500"]
        for path in ("verdict", "runtime", "storage", "services", "openapi.json"):
            assert client.get(f"/api/v1/{path}").status_code == 200, path


def test_a_route_row_has_the_fields_that_were_promised(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        row = client.get("/api/v1/routes", params={"last": "6h", "limit": 1}).json()["routes"][0]
    promised = "route requests errors error_ratio rate_per_s mean_s p50_s p95_s p99_s max_s bytes severity"
    assert set(promised.split()) <= set(row)


def test_routes_are_sorted_and_limited_as_asked(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        found = client.get("/api/v1/routes", params={"last": "6h", "sort": "p95", "limit": 3}).json()
        assert len(found["routes"]) == 3 < found["total"]
        p95s = [row["p95_s"] for row in found["routes"]]
        assert p95s == sorted(p95s, reverse=True)
        [one] = client.get("/api/v1/routes", params={"last": "6h", "route": "GET /menu"}).json()["routes"]
        assert one["route"] == "GET /menu"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("overview?last=soon", "no length of time"),
        ("overview?from=5", "2000 … 2100"),
        ("overview?days=x", "days"),
        ("routes?limit=0", "limit"),
        ("routes?sort=colour", "none of route"),
        ("routes/trend?last=90d&step=1", "at most 2000"),
        ("routes/detail", "route"),
        ("overview?compare=x", "none of previous"),
    ],
)
def test_a_value_that_cannot_be_used_is_422_in_the_one_shape(dashboard: Dashboard, path: str, said: str) -> None:
    with dashboard.client() as client:
        answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 422
    assert set(answer.json()["error"]) == {"code", "message", "value", "limit", "next"}
    assert said in answer.json()["error"]["message"]


def test_a_route_that_nobody_asked_for_is_404_and_an_unknown_address_too(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        missing = client.get("/api/v1/routes/detail", params={"route": "GET /nowhere"})
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
        assert client.get("/api/v1/nothing").json()["error"]["code"] == "not_found"
        assert client.delete("/api/v1/overview").status_code == 405


def test_csv_has_every_row_and_runs_nothing_in_a_spreadsheet(dashboard: Dashboard, write: Any) -> None:
    write(dashboard.store, "csv:1:aa", 1, int(time.time()) - 300, 3, route="=HYPERLINK(1)")
    with dashboard.client() as client:
        answer = client.get("/api/v1/routes.csv", params={"last": "7d"})
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert answer.headers["content-type"].startswith("text/csv")
        assert {row["route"] for row in rows} >= {*dashboard.routes, "'=HYPERLINK(1)"}
        for name in ("trend", "heatmap", "runtime"):
            assert len(client.get(f"/api/v1/{name}.csv", params={"last": "6h"}).text.splitlines()) > 2, name


def test_pruning_counts_first_and_then_deletes_what_it_counted(dashboard: Dashboard, write: Any) -> None:
    now = int(time.time())
    write(dashboard.store, "old:1:aa", 1, now - 40 * 86_400, 3)
    headers = {"authorization": f"Bearer {dashboard.keyring.add_token('prune')}"}
    url, body = f"{dashboard.url}/api/v1/storage/prune", {"before_s": now - 30 * 86_400}
    counted = httpx.post(url, json=body | {"dry_run": True}, headers=headers).json()
    assert counted["rows"] >= 1
    deleted = httpx.post(url, json=body | {"dry_run": False}, headers=headers).json()
    assert deleted["rows"] == counted["rows"]
    assert httpx.post(url, json=body | {"dry_run": True}, headers=headers).json()["rows"] == 0
    future = httpx.post(url, json={"before_s": now + 3600, "dry_run": False}, headers=headers)
    assert future.status_code == 422


def test_a_store_that_cannot_be_read_is_503_with_what_to_do(tmp_path: Any, serving: Any) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    keyring = Keyring()
    headers = {"authorization": f"Bearer {keyring.add_token('x')}"}
    with serving(create_app(SqliteStore(str(path), readonly=True), auth=keyring)) as url:
        answer = httpx.get(f"{url}/api/v1/overview", headers=headers)
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["next"]
