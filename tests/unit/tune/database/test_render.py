"""Plans as text: what stands where, in any width, and nothing that steers a terminal."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model.tuned import PlanBody, PlanNode
from pitstop.tune.database.plan import findings_of, node
from pitstop.tune.database.render import render


def analyzed(what: str, rows: float, own_s: float, *inputs: PlanNode, loops: int = 1, on: str = "") -> PlanNode:
    made = node(what, on=on, inputs=inputs, rows_estimated=rows / 2, cost=5.0)
    made["rows_actual"], made["loops"], made["own_s"] = rows, loops, own_s
    made["time_s"] = own_s + sum(child["time_s"] or 0.0 for child in inputs)
    return made


def body(root: PlanNode, *, ran: bool = True) -> PlanBody:
    return PlanBody(
        statement="SELECT * FROM orders WHERE id = ?",
        dialect="postgresql",
        analyzed=ran,
        duration_s=0.0123 if ran else None,
        root=root,
        findings=findings_of(root),
    )


def test_a_plan_is_a_tree_with_figures_findings_and_the_costly_path() -> None:
    scan = analyzed("Seq Scan", 12_345, 0.0101, on="orders", loops=3)
    scan["costly"], scan["detail"], scan["findings"] = True, "Filter: (id = ?)", ["an index on what it compares"]
    scan["buffers_hit"], scan["buffers_read"], scan["spilled_bytes"] = 1_234, 5, 2_000_000
    root = analyzed("Limit", 10, 0.0001, scan, analyzed("Result", 1, 0.0))
    root["costly"] = True
    plan = body(root)
    plan["findings"].append("compiling took long")
    assert render(plan, 72).split("\n") == [
        "SELECT * FROM orders WHERE id = ?",
        "postgresql, analyzed, 12.3 ms",
        "",
        "  step                                rows  expected        ms    own ms",
        "→ Limit                                 10         5      10.2       0.1",
        "→ ├ Seq Scan on orders ×3           12,345     6,172      10.1      10.1",
        "  │   Filter: (id = ?)",
        "  │   pages: 1,234 in memory, 5 read; 2 MB on disk",
        "  │   ! an index on what it compares",
        "  └ Result                               1       0.5         0         0",
        "",
        "! compiling took long",
    ]


def test_a_plan_that_was_not_run_has_costs_instead_of_times() -> None:
    text = render(body(node("Seq Scan", on="orders", cost=1234.5, rows_estimated=10), ran=False), 72)
    assert "postgresql, not run\n" in text
    assert text.endswith(f"  {'Seq Scan on orders':50}        10     1,234")


def test_names_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in render(body(node("Seq Scan", on="orders\x1b[2J", cost=1.0)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 60))
def test_any_depth_fits_any_width(width: int, depth: int) -> None:
    root = analyzed("Seq Scan", 1, 0.1, on="a_table_with_a_long_name")
    root["detail"], root["findings"] = "Filter: something that is long", ["something to do about it"]
    for _ in range(depth):
        root = analyzed("Nested Loop", 1, 0.1, root)
    lines = render(body(root), width).split("\n")
    assert len(lines) > depth
    assert max(map(len, lines)) <= max(width, 132)
