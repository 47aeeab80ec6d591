"""What a service did inside its requests is what the commands say, without a line of code in the service."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.acceptance.conftest import Service

REQUESTS = 12
ORDERS = 30
CARD = "4111-canary-1111"
ITEMS = "SELECT name FROM items WHERE order_id = ?"


def pitstop(service: Service, *arguments: str) -> str:
    command = [sys.executable, "-m", "pitstop", *arguments, "--store", service.store]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def printed(service: Service, *arguments: str) -> Any:
    return json.loads(pitstop(service, *arguments, "--json"))


def test_what_was_planted_is_named_by_route_statement_and_line(serve: Callable[..., Service], tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    service = serve("uvicorn", "orders_fastapi:app", "--port", "{port}", ORDERS_FILE=str(file))
    visits = [("GET", "/orders", "GET /orders")] * REQUESTS + [("GET", "/report", "GET /report")]
    visits += [("GET", f"/pay/{CARD}", "GET /pay/{card}")] * 3
    answers = service.ask(visits, threads=2)
    assert service.stored_becomes(Counter((answer.name, answer.status) for answer in answers))
    assert service.child.stop()

    seen = printed(service, "queries")
    rows = {row["statement"]: row for row in seen["queries"]}
    assert (rows[ITEMS]["calls"], rows[ITEMS]["rows"]) == (REQUESTS * ORDERS, REQUESTS * 90)
    assert rows["SELECT id FROM orders"]["calls"] == REQUESTS
    assert rows[ITEMS]["routes"] == ["GET /orders"]

    routes = {row["route"]: row for row in printed(service, "routes")["routes"]}
    spent = routes["GET /orders"]["breakdown"]
    assert spent["db_s"] > 0
    assert spent["db_s"] <= sum(row["total_s"] for row in seen["queries"]) / REQUESTS + 1e-9
    assert sum(spent.values()) == pytest.approx(routes["GET /orders"]["mean_s"])

    (slow,) = [row for row in printed(service, "traces", "--reason", "slow")["traces"] if row["route"] == "GET /report"]
    assert slow["duration_s"] >= 1.2
    kept = printed(service, "traces", "--route", "GET /orders")["traces"]
    tree = printed(service, "trace", kept[-1]["trace_id"])["trace"]
    lines = [span["line"] for span in tree["spans"] if span["name"] == ITEMS]
    assert len(lines) == ORDERS
    assert {line.partition(":")[0] + line.partition(" in")[1] + line.rpartition(" in")[2] for line in lines} == {
        "orders_fastapi.py in list_orders"
    }
    assert "×30" in pitstop(service, "trace", kept[-1]["trace_id"])

    (failed,) = printed(service, "errors")["errors"]
    assert (failed["route"], failed["count"], failed["message"]) == ("GET /pay/{card}", 3, "card … declined")
    assert failed["type"].endswith("ValueError")
    assert failed["line"].endswith("in pay")

    stored = b"".join(part.read_bytes() for part in tmp_path.glob("pitstop.db*"))
    everything = json.dumps([seen, tree, failed])
    for canary in (CARD, "canary-note"):
        assert canary.encode() not in stored
        assert canary not in everything
