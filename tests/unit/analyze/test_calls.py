from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze import caches, health, outgoing, tasks, templates
from pitstop.model import Window

WINDOW = Window(1000, 1100)


def test_outgoing_calls_fail_by_status_or_without_an_answer(recorded: Any) -> None:
    for outcome, number in (("200", 6), ("404", 2), ("503", 1), ("error", 1)):
        recorded.add(
            1000, "GET stock:8000", [0.1] * number, kind="http_client", parent="GET /a", outcome=outcome, nbytes=50
        )
    recorded.add(1000, "POST mail:25", [0.9], kind="http_client", parent="GET /b", outcome="200")
    mail, stock = sorted(outgoing(recorded.store, WINDOW, "shop"), key=lambda row: row.calls)
    assert (stock.name, stock.calls, stock.errors, stock.amount) == ("GET stock:8000", 10, 2, 500)
    assert [one.route for one in stock.routes] == ["GET /a"]
    assert mail.time_ratio == pytest.approx(0.9 / 1.9)
    assert [row.name for row in outgoing(recorded.store, WINDOW, "shop", "GET /b")] == ["POST mail:25"]


def test_a_cache_has_a_hit_ratio_over_its_lookups_only(recorded: Any) -> None:
    for name, outcome, number in (("GET", "hit", 6), ("GET", "miss", 2), ("GET", "error", 1), ("SET", "ok", 9)):
        recorded.add(1000, name, [0.001] * number, kind="cache", parent="GET /a", outcome=outcome)
    found = {row.name: row for row in caches(recorded.store, WINDOW, "shop")}
    get = found["GET"]
    assert (get.calls, get.hits, get.misses, get.errors, get.hit_ratio) == (9, 6, 2, 1, 0.75)
    assert (found["SET"].calls, found["SET"].hit_ratio) == (9, None)


def test_the_cache_part_of_health_is_hits_over_lookups_and_not_over_writes(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.01])
    recorded.add(1000, "SET", [0.001] * 20, kind="cache", parent="GET /a", outcome="ok")
    seen = {part.name: part for part in health(recorded.store, WINDOW).parts}
    assert (seen["cache"].score, seen["cache"].note) == (None, "no cache seen")
    recorded.add(1000, "GET", [0.001] * 3, kind="cache", parent="GET /a", outcome="hit")
    recorded.add(1000, "GET", [0.001], kind="cache", parent="GET /a", outcome="miss")
    seen = {part.name: part for part in health(recorded.store, WINDOW).parts}
    assert (seen["cache"].score, seen["cache"].weight) == (75, pytest.approx(0.3))


def test_templates_and_tasks_have_rows_of_their_own(recorded: Any) -> None:
    recorded.add(1000, "page.html", [0.02, 0.04], kind="template", parent="GET /a", outcome="ok")
    recorded.add(1000, "mail", [2.0, 4.0], kind="task", outcome="ok")
    recorded.add(1000, "mail", [1.0], kind="task", outcome="error")
    recorded.add(1000, "tidy", [0.1], kind="task", outcome="ok")
    (page,) = templates(recorded.store, WINDOW)
    assert (page.name, page.calls, page.mean_s) == ("page.html", 2, pytest.approx(0.03))
    mail, tidy = tasks(recorded.store, WINDOW)
    assert (mail.name, mail.stats.requests, mail.stats.errors) == ("mail", 3, 1)
    assert tidy.name == "tidy"
