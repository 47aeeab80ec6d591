from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitstop.analyze import advice, memory, plans, pools
from pitstop.analyze.plans import MOST_STEPS, steps_of
from pitstop.analyze.reports import DEEPEST, like_of, reports, shaped
from pitstop.model import Batch, Window
from pitstop.model.columns import Reports
from pitstop.model.tuned import CacheBody

LIKE = like_of(CacheBody)
WINDOW = Window(1000, 1100)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*LIKE, "key", "hits"]), inner),
    max_leaves=8,
)


def report(recorded: Any, kind: str, name: str, body: Any, *, worker: str = "a:1:x", ts: int = 1095) -> None:
    said = Reports()
    text = body if isinstance(body, str) else json.dumps(body)
    row = {"ts": ts, "service": "shop", "worker": worker, "kind": kind, "name": name, "body": text}
    for column, value in row.items():
        getattr(said, column).append(value)
    report.seq += 1  # type: ignore[attr-defined]  # a counter of its own
    recorded.store.append(Batch(worker, report.seq, reports=said))  # type: ignore[attr-defined]  # as above


report.seq = 0  # type: ignore[attr-defined]  # as above


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.dictionaries(st.sampled_from(list(LIKE)), JSON))
def test_whatever_is_reported_is_shaped_as_it_should_be(body: dict[str, Any]) -> None:
    made = shaped(body, LIKE)
    assert list(made) == list(LIKE)
    for name, empty in LIKE.items():
        if empty is None:
            assert made[name] is None or isinstance(made[name], int | float)
        elif isinstance(empty, int | float):
            assert isinstance(made[name], int | float)
            assert not isinstance(made[name], bool)
        else:
            assert type(made[name]) is type(empty)
    assert all(set(one) == {"key", "hits", "ttl_s", "age_s", "cost_s"} for one in made["hottest"])
    assert shaped(made, LIKE) == made


def test_what_is_no_object_is_left_out(recorded: Any) -> None:
    for name, body in (("a", "{"), ("b", "[1]"), ("c", "[" * 100_000), ("d", {"entries": 4})):
        report(recorded, "cache", name, body)
    found = reports(recorded.store, WINDOW, "cache", "shop", like=LIKE)
    assert [(one.name, one.body["entries"]) for one in found] == [("d", 4)]


def node(**fields: Any) -> dict[str, Any]:
    return {"what": "Scan", "inputs": []} | fields


def test_a_plan_becomes_rows_with_their_depth_and_share(recorded: Any) -> None:
    root = node(
        what="Limit", own_s=0.001,
        inputs=[node(own_s=0.003, rows_estimated=1, rows_actual=500), node(rows_estimated=500, rows_actual=1)],
    )  # fmt: skip
    report(recorded, "plan", "f1", {"statement": "SELECT ?", "root": root, "analyzed": True}, ts=10)
    report(recorded, "plan", "f1", {"statement": "SELECT ?", "root": node(), "analyzed": False}, worker="b:1:x", ts=5)
    plan = plans(recorded.store, 1100)["SELECT ?"]
    assert plan.analyzed, "the newest of all workers"
    assert [(step.depth, step.what) for step in plan.steps] == [(0, "Limit"), (1, "Scan"), (1, "Scan")]
    assert [step.own_ratio for step in plan.steps] == [0.25, 0.75, None]
    assert [step.wrong_by for step in plan.steps] == [None, 500, 1 / 500]


def test_a_plan_without_end_is_cut_and_says_so() -> None:
    deep = node()
    for _ in range(200):
        deep = node(inputs=[deep])
    steps, left_out = steps_of(deep)
    assert (len(steps), left_out) == (DEEPEST, 1)
    steps, left_out = steps_of(node(inputs=[node() for _ in range(2 * MOST_STEPS)]))
    assert (len(steps), left_out) == (MOST_STEPS, MOST_STEPS + 1)
    assert steps_of({}) == ((), 0)
    assert steps_of({"inputs": "no list"})[0][0].what == ""


def test_pools_of_all_workers_are_one_row_an_engine(recorded: Any) -> None:
    body = {"size": 20, "max_overflow": 40, "in_use": 5, "waits": 2, "server_limit": 100}
    report(recorded, "pool", "pg", body | {"waited_s": 0.1, "advice": "smaller"})
    report(recorded, "pool", "pg", body | {"waited_s": 0.4, "server_limit": None}, worker="b:1:x")
    report(recorded, "pool", "pg", body | {"in_use": 50}, worker="gone:1:x", ts=1001)
    (row,) = pools(recorded.store, WINDOW)
    assert (row.workers, row.in_use, row.most, row.waits, row.waited_s) == (2, 10, 120, 4, 0.4)
    assert row.advice == "smaller"


def test_only_the_newest_advice_on_a_database_counts_however_old_it_is(recorded: Any) -> None:
    item = {"kind": "create index", "sql": "CREATE INDEX i", "statements": ["SELECT ?", 4]}
    report(recorded, "advice", "pg", {"items": []}, ts=50)
    report(recorded, "advice", "pg", {"items": [item, "no item"], "refused": ["x"]}, worker="b:1:x", ts=90)
    (one,) = advice(recorded.store, 1100, "shop")
    assert (one.given_at, one.refused, one.items[0].statements) == (90, ("x",), ("SELECT ?",))
    assert len(one.items) == 1


def test_memory_names_what_is_worst_first_and_leaks_of_workers_that_are_gone(recorded: Any) -> None:
    report(recorded, "pressure", "", {"level": "none", "used_bytes": 9})
    report(recorded, "pressure", "", {"level": "critical", "used_bytes": 5}, worker="b:1:x")
    report(recorded, "leak", "dict", {"bytes_per_min": 9e6, "sure": False})
    report(recorded, "leak", "Thing", {"what": "Thing", "bytes_per_min": 2e6, "sure": True}, worker="gone:1:x", ts=1001)
    report(recorded, "gc", "", {"thresholds": [700, 10, 10], "longest_s": 0.02})
    report(recorded, "limiter", "all", {"limit": 4.5, "refused": {"low": 3, "high": 1}})
    report(recorded, "object_pool", "p", {"saved_s": -1.0, "taken": 4})
    report(recorded, "object_pool", "p", {"saved_s": 0.5, "taken": 4}, worker="b:1:x")
    seen = memory(recorded.store, WINDOW, "shop")
    assert (seen.level, [leak.what for leak in seen.leaks]) == ("critical", ["Thing", "dict"])
    assert seen.collectors[0].thresholds == (700, 10, 10)
    assert seen.limiters[0].refusals == 4
    assert (seen.objects[0].workers, seen.objects[0].saved_s, seen.objects[0].taken) == (2, -0.5, 8)
    assert memory(recorded.store, WINDOW, "nobody").level is None
