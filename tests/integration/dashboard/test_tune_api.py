"""Caches, databases and memory through the JSON API, and what it lets processes be told to do."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.cli import contract_tune
from pitstop.dashboard.api import tune_shapes as shapes
from pitstop.model import Window

if TYPE_CHECKING:
    import httpx

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
SPAN = {"last": "2h"}
CHANGES = ("cache/invalidate", "cache/warm", "memory/optimize", "memory/look", "optimize")


def got(dashboard: Dashboard, path: str, **more: Any) -> Any:
    with dashboard.client() as client:
        answer = client.get(f"/api/v1/{path}", params=SPAN | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sent(dashboard: Dashboard, path: str, body: dict[str, Any]) -> httpx.Response:
    with dashboard.client() as client:
        token = re.search(r'data-csrf="([^"]+)"', client.get("/caches").text)
        assert token
        return client.post(f"/api/v1/{path}", json=body, headers={"x-csrf-token": token[1]}, timeout=30)


def test_regions_have_exact_counts_and_an_effect(tuned: Dashboard) -> None:
    found = got(tuned, "caches")
    by_name = {row["region"]: row for row in found["regions"]}
    steps = len(range(0, 5400 - 20, tuned.tunes.STEP_S))
    basket = by_name["basket"]
    assert (basket["hits"], basket["misses"], basket["errors"]) == (180 * steps, 140 * steps, 4 * steps)
    assert basket["effect"] == "low"
    assert basket["hit_ratio"] == pytest.approx(9 / 16)
    assert basket["recompute_s"] == pytest.approx(0.009, rel=0.1)
    assert by_name["cheap"]["saved_s"] < 0, "making the value is cheaper than looking it up"
    assert by_name["product"]["held"]["entries"] == 2 * 8211
    assert by_name["product"]["held"]["hottest"][0]["hits"] == 8000
    assert by_name["odd"]["held"]["entries"] == 0, "a report of odd types is read as far as it makes sense"
    assert found["effect"]["none"] == [tuned.tunes.XSS]
    assert {"GET", "SET"} < {row["name"] for row in found["commands"]}


def test_a_region_in_detail_has_its_course_and_tenants(tuned: Dashboard) -> None:
    found = got(tuned, "caches/detail", region="product")
    assert sum(value or 0 for value in found["hits"]) == found["region"]["hits"]
    assert found["tenants"][0] == {"tenant": "acme", "hits": 122_000, "misses": 8200}
    with tuned.client() as client:
        missing = client.get("/api/v1/caches/detail", params={"region": "nothing"})
    assert missing.status_code == 404
    assert "longer" in missing.json()["error"]["message"]


def test_pools_advice_and_plans_are_there(tuned: Dashboard) -> None:
    found = got(tuned, "database")
    pool = next(row for row in found["pools"] if row["name"] == tuned.tunes.ENGINE)
    assert (pool["workers"], pool["in_use"], pool["most"], pool["waited_s"]) == (2, 96, 120, 0.9)
    assert found["advice"][0]["items"][0]["undo"].startswith("DROP INDEX")
    [plan] = got(tuned, "plans", statement=tuned.tunes.ORDERS)
    assert [step["what"] for step in plan["steps"]] == ["Limit", "Sort", "Seq Scan"]
    assert plan["steps"][2]["own_ratio"] == pytest.approx(31 / 41)
    assert plan["steps"][2]["wrong_by"] == pytest.approx(412_000 / 31)
    assert len(got(tuned, "plans")) == 4


def test_memory_says_what_is_worst_first(tuned: Dashboard) -> None:
    found = got(tuned, "memory")
    assert [row["level"] for row in found["pressure"]] == ["elevated", "none"]
    assert (found["leaks"][0]["what"], found["leaks"][0]["sure"]) == ("Receipt", True)
    assert found["limiters"][0]["refused"]["low"] == 12
    assert {row["saved_s"] for row in found["objects"]} == {1.6, -0.02}


def test_the_overview_counts_regions_and_not_the_commands_below_them_again(tuned: Dashboard) -> None:
    overview = got(tuned, "overview")
    effect = got(tuned, "caches")["effect"]
    assert overview["cache_lookups"] == effect["lookups"]
    assert overview["cache_hit_ratio"] == pytest.approx(effect["hit_ratio"])


def test_processes_are_told_what_to_do_and_say_what_came_of_it(tuned: Dashboard) -> None:
    counted = sent(tuned, "cache/invalidate", {"region": "product", "service": "shop"}).json()
    assert (counted["dry_run"], counted["entries"], counted["regions"]) == (True, 812, {"product": 812})
    gone = sent(tuned, "cache/invalidate", {"tags": ["a", "b"], "dry_run": False}).json()
    assert (gone["dry_run"], gone["entries"]) == (False, 32)
    warmed = sent(tuned, "cache/warm", {"region": "product", "dry_run": False}).json()
    assert warmed["text"] == "40 values were made: 40 of product"
    freed = sent(tuned, "memory/optimize", {}).json()["processes"][0]
    assert freed["freed_bytes"] == 13_000_000
    looked = sent(tuned, "memory/look", {"seconds": 0.2}).json()
    assert looked["lines"][0] == {
        "line": "shop/receipts.py:48 in remember", "bytes": 1_900_000, "blocks": 3100, "bytes_per_min": 11_400_000,
        "stays": True,
    }  # fmt: skip
    both = sent(tuned, "optimize", {}).json()
    assert both["memory"]["processes"][0]["steps"][0]["freed_bytes"] == 13_000_000
    assert "deleted_rows" in both["store"]
    alone = sent(tuned, "optimize", {"service": "nobody"}).json()
    assert alone["memory"] is None
    assert "service 'nobody'" in alone["note"]


def test_every_change_is_logged_with_who_asked_for_it(tuned: Dashboard, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pitstop.audit"):
        sent(tuned, "cache/invalidate", {"region": "product"})
        assert caplog.messages == [], "counting changes nothing"
        sent(tuned, "cache/invalidate", {"region": "product", "dry_run": False})
        sent(tuned, "memory/optimize", {})
        sent(tuned, "memory/look", {"seconds": 0.2})
    assert caplog.messages == [
        "admin invalidated region='product': 812 values",
        "admin optimized the memory of 1 processes",
        "admin looked for 0.2 s at the memory of 1 processes",
    ]


def test_nothing_is_done_without_a_token_of_a_page_of_ours(tuned: Dashboard) -> None:
    tuned.asked.did.clear()
    for path in CHANGES:
        with tuned.client() as client:
            assert client.post(f"/api/v1/{path}", json={"region": "product"}).status_code == 403
            client.headers["origin"] = "https://evil.example"
            assert client.post(f"/api/v1/{path}", json={}, headers={"x-csrf-token": "x"}).status_code == 403
        with tuned.client(signed_in=False) as client:
            assert client.post(f"/api/v1/{path}", json={"region": "product"}).status_code == 401
    assert tuned.asked.did == []


def test_what_cannot_be_says_what_to_do(tuned: Dashboard) -> None:
    nothing = sent(tuned, "cache/invalidate", {"dry_run": False})
    assert (nothing.status_code, "everything=true" in nothing.text) == (422, True)
    assert sent(tuned, "memory/look", {"seconds": 3600}).status_code == 422
    nobody = sent(tuned, "memory/optimize", {"service": "nobody"})
    assert (nobody.status_code, "pitstop run" in nobody.text) == (404, True)
    assert sent(tuned, "cache/invalidate", {"region": "x" * 500}).status_code == 422


def test_a_dashboard_that_only_reads_tells_nobody_what_to_do(tuned: Dashboard, serving: Any) -> None:
    from pitstop.dashboard import create_app  # noqa: PLC0415

    tuned.asked.did.clear()
    with serving(create_app(tuned.store, auth=tuned.keyring, writable=False)) as url:
        readonly = tuned._replace(url=url)
        for path in CHANGES:
            assert sent(readonly, path, {"region": "product", "everything": True}).status_code == 403
        with readonly.client() as client:
            assert "data-ask" not in client.get("/memory").text
            assert "pitstop cache invalidate" in client.get("/cache?name=product").text
    assert tuned.asked.did == []


def test_commands_and_api_print_the_same_fields(tuned: Dashboard) -> None:
    from pitstop import analyze  # noqa: PLC0415

    now = int(__import__("time").time())
    window = Window(now - 7200, now + 1)
    rows = analyze.regions(tuned.store, window)
    for row in rows:
        assert set(contract_tune.region(row)) == set(shapes.RegionOut.model_fields)
        if row.held is not None:
            assert set(contract_tune.region(row)["held"]) == set(shapes.HeldOut.model_fields)
    assert set(contract_tune.effect(analyze.cache_effect(rows))) == set(shapes.EffectOut.model_fields)
    printed = contract_tune.memory(analyze.memory(tuned.store, window))
    assert set(printed) == set(shapes.MemoryOut.model_fields)
    for name, shape in (
        ("pressure", shapes.PressureOut), ("leaks", shapes.LeakOut), ("collectors", shapes.CollectorOut),
        ("objects", shapes.ObjectsOut), ("limiters", shapes.LimiterOut),
    ):  # fmt: skip
        assert set(printed[name][0]) == set(shape.model_fields)
