# ruff: noqa: ANN001, ANN201, PT018  arguments come from tables; one state of a plan is one assertion
"""What EXPLAIN's documents are read as: times of the wall clock, own shares, the costly path, no literals."""

from __future__ import annotations

from typing import Any

import pytest

from pitstop.model.errors import SettingError
from pitstop.tune.database.plan import walk
from pitstop.tune.database.plan_postgresql import read_postgresql


def step(what: str, total_ms: float, *, loops: int = 1, rows: float = 1, **more: Any) -> dict[str, Any]:
    children = more.pop("plans", [])
    fields = {
        key.replace("_", " ").title().replace("Cte", "CTE").replace("By Filter", "by Filter"): value
        for key, value in more.items()
    }
    return {
        "Node Type": what,
        "Plan Rows": more.get("plan_rows", rows),
        "Actual Rows": rows,
        "Actual Loops": loops,
        "Actual Total Time": total_ms,
        "Total Cost": total_ms,
        **fields,
        **({"Plans": children} if children else {}),
    }


def plan(root: dict[str, Any], sql: str = "SELECT 1") -> Any:
    return read_postgresql([{"Plan": root, "Execution Time": root["Actual Total Time"]}], sql)


def test_what_is_no_plan_is_refused_with_a_reason():
    for document in ([], {}, None, [{"plan": 1}], "text"):
        with pytest.raises(SettingError, match="no EXPLAIN"):
            read_postgresql(document, "SELECT 1")


def test_time_of_loops_is_added_and_own_time_is_without_inputs():
    found = plan(
        step("Nested Loop", 100, plans=[step("Seq Scan", 10), step("Index Scan", 0.8, loops=100)]),
    )
    outer, inner = found["root"]["inputs"]
    assert (outer["time_s"], inner["time_s"]) == pytest.approx((0.010, 0.080))
    assert found["root"]["own_s"] == pytest.approx(0.010)
    assert inner["costly"] and found["root"]["costly"] and not outer["costly"]


def test_processes_of_a_parallel_plan_ran_side_by_side():
    found = plan(step("Gather", 110, workers_launched=2, workers_planned=2, plans=[step("Seq Scan", 100, loops=3)]))
    (scan,) = found["root"]["inputs"]
    assert scan["time_s"] == pytest.approx(0.100)
    assert found["root"]["own_s"] == pytest.approx(0.010)


def test_what_a_cte_took_is_charged_where_it_is_shown_and_not_to_whoever_reads_it():
    cte = step("Seq Scan", 80, parent_relationship="InitPlan", subplan_name="CTE big")
    found = plan(step("Aggregate", 100, plans=[cte, step("CTE Scan", 95, cte_name="big", alias="big")]))
    own = {here["what"]: here["own_s"] for here in walk(found["root"])}
    assert own == pytest.approx({"Aggregate": 0.005, "Seq Scan": 0.080, "CTE Scan": 0.015})


@pytest.mark.parametrize(
    ("name", "condition"),
    [("InitPlan 1 (returns $0)", "(total > $0)"), ("InitPlan 1", "(total > (InitPlan 1).col1)")],
)
def test_what_an_initial_subplan_took_is_charged_to_itself(name, condition):
    subplan = step("Aggregate", 60, parent_relationship="InitPlan", subplan_name=name)
    found = plan(step("Limit", 100, plans=[subplan, step("Seq Scan", 95, filter=condition)]))
    own = {here["what"]: here["own_s"] for here in walk(found["root"])}
    assert own == pytest.approx({"Limit": 0.005, "Aggregate": 0.060, "Seq Scan": 0.035})


def test_no_literal_of_a_condition_is_kept():
    found = plan(
        step(
            "Seq Scan",
            1,
            relation_name="users",
            alias="u",
            filter="((mail = 's3cret@x'::text) AND (age > 4711) AND (tags = '{s3cret,b}'::text[]))",
            sort_key=["(lower('s3cret'::text))", "u.id DESC"],
        ),
        "SELECT * FROM users u WHERE mail = 's3cret@x'",
    )
    assert "s3cret" not in str(found) and "4711" not in str(found)
    assert found["statement"] == "SELECT * FROM users u WHERE mail = ?"
    assert found["root"]["on"] == "users u"
    assert found["root"]["detail"].startswith("Filter: ((mail = ?::text) AND (age > ?)")


def test_without_having_run_the_costly_path_goes_by_cost_and_counts_the_inner_side_for_each_outer_row():
    inner = {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Total Cost": 8.0, "Plan Rows": 1}
    outer = {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Total Cost": 100.0, "Plan Rows": 50}
    root = {"Node Type": "Nested Loop", "Total Cost": 510.0, "Plan Rows": 50, "Plans": [outer, inner]}
    found = read_postgresql([{"Plan": root}], "SELECT 1")
    assert not found["analyzed"] and found["duration_s"] is None
    assert [here["costly"] for here in walk(found["root"])] == [True, False, True]


@pytest.mark.parametrize(
    ("root", "words"),
    [
        (step("Seq Scan", 9, rows=10, filter="x", rows_removed_by_filter=9990), "reads 10,000 rows to keep 10"),
        (
            step("Index Scan", 9, rows=1, index_cond="a", filter="b", rows_removed_by_filter=5000),
            "the index finds 5,001 rows and the filter keeps 1",
        ),
        (step("Index Only Scan", 9, rows=5000, heap_fetches=4000), "VACUUM it"),
        (step("Bitmap Heap Scan", 9, rows=5000, lossy_heap_blocks=40), "raise work_mem"),
        (step("Sort", 9, sort_space_type="Disk", sort_space_used=2048), "sorted 2.1 MB on disk"),
        (step("Hash", 9, temp_written_blocks=1000), "the hash table went to disk, 8.19 MB"),
        (step("Aggregate", 9, strategy="Hashed", disk_usage=4096), "groups went to disk, 4.19 MB"),
        (step("Materialize", 9, temp_written_blocks=1000), "8.19 MB went to disk"),
        (
            step("Nested Loop", 9, plans=[step("Result", 1), step(
                "Seq Scan", 0.1, loops=500, parent_relationship="Inner", relation_name="items")]),
            "reads items whole 500 times",
        ),
        (step("Limit", 9, rows=20, plans=[step("Index Scan", 8, rows=5020)]), "skips 5,000 rows to give 20"),
        (step("Seq Scan", 9, rows=5000, plan_rows=5), "expected 5 rows and got 5,000, 1,000 times as many"),
        (step("Gather", 9, workers_planned=2, workers_launched=1), "1 of 2 workers were free"),
    ],
)  # fmt: skip
def test_a_step_says_what_is_wrong_with_it(root, words):
    assert any(words in finding for finding in plan(root)["findings"]), plan(root)["findings"]


def test_steps_that_cost_nothing_and_do_well_are_silent():
    for root in (
        step("Seq Scan", 1, rows=3, filter="x", rows_removed_by_filter=500),
        step("Seq Scan", 1, rows=9000, filter="x", rows_removed_by_filter=1000),
        step("Sort", 1, sort_space_type="Memory", sort_space_used=2048),
        step("Limit", 1, rows=20, plans=[step("Index Scan", 8, rows=20)]),
        step("Index Scan", 1, loops=0, rows=0, plan_rows=5000),
    ):
        assert plan(root)["findings"] == []


def test_an_estimate_is_complained_of_where_it_went_wrong_first():
    found = plan(step("Hash Join", 9, rows=5000, plan_rows=5, plans=[step("Seq Scan", 5, rows=5000, plan_rows=5)]))
    assert len(found["findings"]) == 1 and found["findings"][0].startswith("Seq Scan")


def test_compiling_and_planning_that_take_longer_than_running_are_told():
    root = step("Result", 5)
    whole = {"Plan": root, "Execution Time": 20.0, "Planning Time": 30.0, "JIT": {"Timing": {"Total": 15.0}}}
    findings = read_postgresql([whole], "SELECT 1")["findings"]
    assert findings[0].startswith("compiling took 15 ms of 20 ms")
    assert findings[1].startswith("planning took 30 ms, running 20 ms")


def test_a_scan_that_was_not_run_is_judged_by_its_cost():
    root = {"Node Type": "Seq Scan", "Total Cost": 2000.0, "Plan Rows": 10, "Filter": "(a = 5)"}
    assert "reads the whole table for about 10 rows" in read_postgresql([{"Plan": root}], "")["findings"][0]
    assert not read_postgresql([{"Plan": {**root, "Total Cost": 20.0}}], "")["findings"]
