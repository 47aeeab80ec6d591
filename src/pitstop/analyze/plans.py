"""How were statements run? Plans that processes took of their slow statements, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.analyze.reports import DEEPEST, like_of, reports, shaped
from pitstop.model import Window
from pitstop.model.tuned import PLAN_REPORT, PlanBody, PlanNode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.model import Store

KEPT_S = 90 * 86_400  # how far back plans are looked for: one holds until another is taken, however short the range
MOST_STEPS = 400  # of one plan
NODE = like_of(PlanNode, "inputs")  # those go down by themselves
WRONG_BY = (
    10.0  # rows estimated against actual: beyond, the planner chose by a wrong number (PostgreSQL wiki, Using EXPLAIN)
)


class PlanStep(NamedTuple):
    """One step as a row of the tree, `depth` below the last one; see `pitstop.model.tuned.PlanNode`.

    `own_ratio` is its share of the plan's time, or of its cost where it was not run; `wrong_by` how many times more
    or fewer rows came than were expected, None where that is unknown or within 10.
    """

    depth: int
    what: str
    on: str
    detail: str
    cost: float | None
    rows_estimated: float | None
    rows_actual: float | None
    loops: int | None
    time_s: float | None
    own_s: float | None
    own_ratio: float | None
    buffers_hit: int | None
    buffers_read: int | None
    spilled_bytes: int | None
    findings: tuple[str, ...]
    costly: bool
    wrong_by: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The newest plan of one statement. `analyzed`: it was run, so there are rows and times."""

    fingerprint: str
    statement: str
    dialect: str
    service: str
    worker: str
    taken_at: int
    analyzed: bool
    duration_s: float | None
    route: str
    findings: tuple[str, ...]
    steps: tuple[PlanStep, ...]
    left_out: int

    @property
    def general(self) -> tuple[str, ...]:
        """Findings that no step says of itself."""
        said = [text.lower() for step in self.steps for text in step.findings]
        return tuple(text for text in self.findings if not any(one in text.lower() for one in said))


def plans(store: Store, until_s: int, service: str | None = None) -> dict[str, Plan]:
    """The newest plan of every statement by its pattern, taken in the 90 days before `until_s`."""
    out: dict[str, Plan] = {}
    window = Window(max(0, until_s - KEPT_S), until_s)
    for one in reports(store, window, PLAN_REPORT, service, like=like_of(PlanBody)):
        plan = plan_of(one.name, one.service, one.worker, one.ts, one.body)
        before = out.get(plan.statement)
        if plan.statement and plan.steps and (before is None or before.taken_at < plan.taken_at):
            out[plan.statement] = plan
    return out


def plan_of(fingerprint: str, service: str, worker: str, taken_at: int, body: dict[str, Any]) -> Plan:
    """A plan from what was reported."""
    steps, left_out = steps_of(body["root"])
    return Plan(
        fingerprint=fingerprint,
        statement=body["statement"],
        dialect=body["dialect"],
        service=service,
        worker=worker,
        taken_at=taken_at,
        analyzed=body["analyzed"],
        duration_s=body["duration_s"],
        route=body["route"],
        findings=tuple(body["findings"]),
        steps=steps,
        left_out=left_out,
    )


def steps_of(root: dict[str, Any]) -> tuple[tuple[PlanStep, ...], int]:
    """The tree as rows, a step before its inputs; and how many were left out."""
    rows: list[tuple[int, dict[str, Any]]] = []
    left_out = 0
    todo: list[tuple[int, Any]] = [(0, root)] if root else []
    while todo:
        depth, node = todo.pop()
        if not isinstance(node, dict):
            continue
        if len(rows) >= MOST_STEPS or depth >= DEEPEST:
            left_out += 1
            continue
        rows.append((depth, shaped(node, NODE)))
        inputs = node.get("inputs")
        todo.extend((depth + 1, one) for one in reversed(inputs if isinstance(inputs, list) else []))
    whole = _whole(rows)
    return tuple(_step(depth, node, whole) for depth, node in rows), left_out


def _step(depth: int, node: dict[str, Any], whole: float) -> PlanStep:
    own = node["own_s"]
    expected, came = node["rows_estimated"], node["rows_actual"]
    wrong_by = None
    if expected is not None and came is not None:
        times = max(came, 1.0) / max(expected, 1.0)
        wrong_by = times if not 1 / WRONG_BY < times < WRONG_BY else None
    fields = {name: node[name] for name in NODE if name != "findings"}
    return PlanStep(
        depth=depth, findings=tuple(node["findings"]), own_ratio=own / whole if own is not None and whole else None,
        wrong_by=wrong_by, **fields,
    )  # fmt: skip


def _whole(rows: Iterable[tuple[int, dict[str, Any]]]) -> float:
    return sum(node["own_s"] or 0.0 for _, node in rows)
