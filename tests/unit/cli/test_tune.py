"""``pitstop cache`` and ``pitstop memory``: what they print, and what they tell processes to do."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model import Batch, Rollups, Series
from pitstop.model.columns import Reports
from pitstop.record import asks
from pitstop.record import desk as desk_module
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator


Did = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def tuned_url(store_url: str) -> str:
    """The service with a cache of two regions and a worker that leaks."""
    store, now = open_store(store_url), int(time.time())
    rows, said = Rollups(), Reports()
    for name, outcome, count, ns in (
        ("product", "hit", 90, 10_000), ("product", "miss", 10, 5_010_000), ("dear", "miss", 4, 20_000_000),
    ):  # fmt: skip
        rows.ts.append(now - 100)
        rows.series.append(Series("shop", "", "region", name, "GET /a", outcome))
        rows.count.append(count)
        rows.sum_ns.append(count * ns)
        rows.min_ns.append(ns)
        rows.max_ns.append(ns)
        rows.nbytes.append(0)
        rows.hist.append(encode({position_of(ns): count}))
    for kind, name, body in (
        ("cache", "product", {"entries": 7, "nbytes": 4000, "ttl_s": 300, "breaker": "open", "levels": ["memory"]}),
        ("leak", "Receipt", {"what": "Receipt", "why": "it only grows", "line": "a.py:1", "sure": True}),
        ("pressure", "", {"level": "high", "used_bytes": 9_000_000, "limit_bytes": 10_000_000, "shed": ["cache"]}),
        ("gc", "", {"thresholds": [700, 10, 10], "longest_s": 0.004}),
        ("limiter", "requests", {"limit": 20.5, "refused": {"low": 2}}),
        ("object_pool", "parsers", {"taken": 10, "saved_s": -0.5, "verdict": "not worth it"}),
    ):
        values = {"ts": now - 3, "service": "shop", "worker": "host:4711:5", "kind": kind, "name": name}
        for column, value in (values | {"body": json.dumps(body)}).items():
            getattr(said, column).append(value)
    store.append(Batch("host:4711:5", 1, rows, reports=said))
    store.close()
    return store_url


@pytest.fixture
def did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Did]:
    """A process of the shop that can be asked: this one. What it was asked for is noted."""
    noted: Did = []
    answers = {
        "cache.invalidate": {"entries": 812, "regions": {"product": 800, "dear": 12}},
        "cache.warm": {"calls": 1, "regions": {"product": 1}},
        "memory.optimize": {
            "before_bytes": 90_000_000, "after_bytes": 91_000_000, "took_s": 0.1,
            "steps": [{"name": "full collection", "freed_bytes": -9, "took_s": 0.1, "note": "7 objects were garbage"}],
        },
        "memory.look": {
            "lines": [{"line": "a.py:1", "first_bytes": 4000, "second_bytes": 1000, "blocks": 3, "stays": True}],
            "outside": {"line": "b.py:2", "why": "it maps pages"},
        },
    }  # fmt: skip
    known: dict[str, Any] = {}
    monkeypatch.setattr(asks, "ANSWERS", known)
    monkeypatch.setattr(desk_module, "ANSWERS", known)
    monkeypatch.setattr(desk_module, "folder_of", lambda _uid: str(tmp_path / "asked"))
    for what, answer in answers.items():

        def answered(given: Any, what: str = what, answer: Any = answer) -> Any:
            noted.append((what, dict(given)))
            return answer

        asks.can_answer(what, answered)
    desk = desk_module.Desk("shop", lambda work: threading.Thread(target=work, daemon=True).start())
    over = threading.Event()

    def poll() -> None:
        while not over.wait(0.01):
            desk.poll()

    desk.poll()
    thread = threading.Thread(target=poll)
    thread.start()
    yield noted
    over.set()
    thread.join()
    desk.close()


def test_regions_are_told_with_what_they_save(pitstop: Any, tuned_url: str) -> None:
    ran = pitstop("cache", "--store", tuned_url)
    assert (ran.code, ran.err) == (0, "")
    product = next(line for line in ran.out.splitlines() if line.startswith("product"))
    assert "90 %" in product
    assert "✓ high" in product
    assert "▲ none" in next(line for line in ran.out.splitlines() if line.startswith("dear"))
    assert "high 1, low 0, none 1 of 2 regions" in ran.out
    assert "the breaker of its far level is open" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_the_same_as_json(pitstop: Any, tuned_url: str) -> None:
    seen = json.loads(pitstop("cache", "stats", "--store", tuned_url, "--service", "shop", "--json").out)
    assert set(seen) == {"version", "window", "service", "effect", "regions", "commands"}
    product = seen["regions"][0]
    assert (product["region"], product["hits"], product["misses"]) == ("product", 90, 10)
    assert product["saved_s"] == pytest.approx(90 * 0.005 - 100 * 0.00001)
    assert product["held"]["breaker"] == "open"
    assert seen["effect"]["none"] == ["dear"]


def test_nothing_looked_up_says_what_to_do(pitstop: Any, store_url: str) -> None:
    ran = pitstop("cache", "--store", store_url)
    assert "No cache lookups were recorded" in ran.out
    assert "pitstop doctor" in ran.out


def test_values_go_after_somebody_who_was_told_what_goes_agrees(
    pitstop: Any, did: Did, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda text, **_: asked.append(text))
    asked: list[str] = []
    ran = pitstop("cache", "invalidate", "--region", "product", "--tag", "a", "--tag", "b")
    assert asked == ["812 values in the memory of 1 process would go: 800 of product, 12 of dear. Throw them away?"]
    assert " ".join(ran.out.split()) == "812 values in the memory of 1 process went: 800 of product, 12 of dear."
    given = {"region": "product", "tags": ["a", "b"], "everything": False}
    assert did == [("cache.invalidate", given | {"dry_run": True}), ("cache.invalidate", given | {"dry_run": False})]


def test_who_does_not_agree_loses_nothing(pitstop: Any, did: Did, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ran = pitstop("cache", "invalidate", "--everything")
    assert ran.code != 0
    assert [given["dry_run"] for _, given in did] == [True]


def test_a_dry_run_only_counts(pitstop: Any, did: Did) -> None:
    seen = json.loads(pitstop("cache", "invalidate", "--everything", "--dry-run", "--json").out)["invalidate"]
    assert (seen["dry_run"], seen["entries"], seen["problems"]) == (True, 812, [])
    assert [given["dry_run"] for _, given in did] == [True]
    ran = pitstop("cache", "warm", "--region", "product", "--dry-run")
    assert ran.out == "1 value would be made: 1 of product.\n"
    assert did[-1] == ("cache.warm", {"dry_run": True, "region": "product"})


def test_what_goes_must_be_said(pitstop: Any, did: Did) -> None:
    for arguments, words in (
        ((), "--everything for all of it"),
        (("--everything", "--region", "x"), "leave out"),
    ):
        ran = pitstop("cache", "invalidate", *arguments)
        assert (ran.code, words in ran.err) == (2, True)
    ran = pitstop("cache", "invalidate", "--everything", "--service", "nobody")
    assert (ran.code, "no process of the service 'nobody'" in ran.err) == (2, True)
    assert did == []


def test_a_sure_leak_and_high_pressure_are_a_finding(pitstop: Any, tuned_url: str) -> None:
    ran = pitstop("memory", "--store", tuned_url)
    assert (ran.code, ran.err) == (1, "")
    for words in ("▲ Receipt leaks", "from a.py:1", "▲ high", "700,10,10", "20.5", "−500 ms"):
        assert words in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    seen = json.loads(pitstop("memory", "status", "--store", tuned_url, "--json").out)["memory"]
    assert set(seen) == {"pressure", "leaks", "collectors", "objects", "limiters"}
    assert seen["pressure"][0]["shed"] == ["cache"]


def test_memory_that_nobody_watches_says_how_to(pitstop: Any, store_url: str) -> None:
    ran = pitstop("memory", "--store", store_url)
    assert ran.code == 0
    assert "No worker reports" in ran.out


def test_optimizing_says_honestly_what_it_came_to(pitstop: Any, did: Did) -> None:
    ran = pitstop("memory", "optimize")
    assert (
        "of shop grew by 1 MB, 90 MB → 91 MB, in 100 ms full collection: nothing; 7 objects were garbage"
        in " ".join(ran.out.split())
    )
    seen = json.loads(pitstop("memory", "optimize", "--json").out)["optimize"]
    assert seen["processes"][0]["steps"][0]["freed_bytes"] == -9
    assert [what for what, _ in did] == ["memory.optimize"] * 2


def test_a_closer_look_names_code_lines(pitstop: Any, did: Did) -> None:
    ran = pitstop("memory", "look", "--seconds", "0.2")
    assert ran.out.splitlines()[1].split() == ["a.py:1", "5", "kB", "3", "0", "B", "yes"]
    assert "b.py:2 holds what no Python object shows: it maps pages" in ran.out
    seen = json.loads(pitstop("memory", "look", "--seconds", "0.2", "--json").out)["look"]
    assert seen["lines"] == [{"line": "a.py:1", "bytes": 5000, "blocks": 3, "bytes_per_min": 0.0, "stays": True}]
    assert did[0] == ("memory.look", {"seconds": 0.2})


def test_options_go_behind_the_command(pitstop: Any) -> None:
    for name in ("cache", "memory"):
        ran = pitstop(name, "--json", "optimize" if name == "memory" else "warm")
        assert (ran.code, "options go behind the command" in ran.err) == (2, True)


def test_the_document_names_every_field(pitstop: Any, tuned_url: str, did: Did) -> None:
    text = (Path(__file__).parents[3] / "docs" / "json.md").read_text(encoding="utf-8")

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            inner = {
                key: one for key, one in value.items() if key not in {"regions", "refused"} or isinstance(one, list)
            }
            return set(inner).union(*(names(one) for one in inner.values()))
        return set().union(*(names(one) for one in value)) if isinstance(value, list) else set()

    for arguments in (
        ("cache", "stats", "--store", tuned_url), ("memory", "status", "--store", tuned_url),
        ("cache", "invalidate", "--everything", "--dry-run"), ("memory", "optimize"), ("memory", "look"),
    ):  # fmt: skip
        missing = {name for name in names(json.loads(pitstop(*arguments, "--json").out)) if f"`{name}`" not in text}
        assert not missing, arguments
    assert did
