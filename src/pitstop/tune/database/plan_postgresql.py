"""Reading PostgreSQL's ``EXPLAIN (FORMAT JSON)``, analyzed or not, versions 9.6 to 17.

PostgreSQL gives times per loop, milliseconds; here they are of all loops, seconds, and of the wall clock: processes of
a parallel plan run side by side, so what they took is divided by their number. Rows are per loop, estimates as well as
actuals. Costs and buffers include those of a step's inputs (PostgreSQL's manual, "Using EXPLAIN", 14.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.model.errors import SettingError
from pitstop.model.tuned import PlanBody
from pitstop.record.statements import POSTGRESQL, normalized
from pitstop.tune.database.findings_postgresql import found_at, found_in_whole
from pitstop.tune.database.plan import findings_of, mark_costly, node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.tuned import PlanNode

BLOCK_BYTES = 8192  # block_size; another one needs a PostgreSQL of one's own making
_KB = 1024

_CONDITIONS = (  # in the order in which PostgreSQL's own text has them
    "Index Cond", "Recheck Cond", "TID Cond", "Order By", "Hash Cond", "Merge Cond", "Join Filter", "Filter",
    "One-Time Filter", "Sort Key", "Presorted Key", "Group Key", "Cache Key", "Function Call",
)  # fmt: skip


def read_postgresql(document: object, statement: str) -> PlanBody:
    """The plan in `document`, the decoded JSON of one EXPLAIN, of the `statement`, whose pattern is kept.

    Raises SettingError where it is no such document.
    """
    try:
        whole: dict[str, Any] = document[0]  # type: ignore[index]  # whatever it is, it must be such a list
        raw: dict[str, Any] = whole["Plan"]
    except (KeyError, IndexError, TypeError):
        raise SettingError("this is no EXPLAIN (FORMAT JSON) of PostgreSQL: it has no [0].Plan") from None
    reading = _Reading(raw)
    root = reading.root
    analyzed = "Execution Time" in whole or "Actual Total Time" in raw
    mark_costly(root, reading.own_s if analyzed else reading.own_cost)
    execution_ms = whole.get("Execution Time", raw.get("Actual Total Time"))
    return PlanBody(
        statement=normalized(statement, POSTGRESQL),
        dialect="postgresql",
        analyzed=analyzed,
        duration_s=execution_ms / 1e3 if analyzed and execution_ms is not None else None,
        root=root,
        findings=[*findings_of(root), *found_in_whole(whole)],
    )


def condition_text(value: object) -> str:
    """An expression of a plan without literals; a list of them joined."""
    texts = value if isinstance(value, list) else [value]
    return ", ".join(normalized(str(text), POSTGRESQL) for text in texts)


class _Reading:
    """One document: its nodes, and each one's own seconds and cost by the `id` of the node."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.own_s: dict[int, float] = {}
        self.own_cost: dict[int, float] = {}
        self._raw: dict[int, dict[str, Any]] = {}
        self._shared: dict[int, list[tuple[str, PlanNode]]] = {}
        self.root = self._read(raw, 1, 1.0, stopped=False)
        self._charge_shared(self.root)

    def _read(self, raw: dict[str, Any], processes: int, repeated: float, *, stopped: bool) -> PlanNode:
        """`repeated`: how often the planner expects the step to run. `stopped`: what is above may have enough early."""
        below = processes
        if raw["Node Type"] in {"Gather", "Gather Merge"} and not raw.get("Single Copy"):
            below = int(raw.get("Workers Launched", raw.get("Workers Planned", 0))) + 1
        times = _times(raw)
        inputs = [
            (child, self._read(child, below, repeated * time, stopped=stopped or _stops(raw)))
            for child, time in zip(raw.get("Plans", ()), times, strict=True)
        ]
        made = node(
            _what(raw),
            on=_on(raw),
            detail=_detail(raw),
            inputs=[child for _, child in inputs],
            cost=raw.get("Total Cost"),
            rows_estimated=raw.get("Plan Rows"),
        )
        self._raw[id(made)] = raw
        spent = sum(float(child.get("Total Cost", 0.0)) * time for (child, _), time in zip(inputs, times, strict=True))
        self.own_cost[id(made)] = repeated * max(float(raw.get("Total Cost", 0.0)) - spent, 0.0)
        self._measure(made, raw, inputs, processes)
        made["findings"] += found_at(raw, made, [child for child, _ in inputs], stopped=stopped)
        return made

    def _measure(
        self, made: PlanNode, raw: dict[str, Any], inputs: list[tuple[dict[str, Any], PlanNode]], processes: int
    ) -> None:
        direct = [child for child in inputs if not _is_shared(child[0])]
        shared = [(str(child["Subplan Name"]), node_) for child, node_ in inputs if _is_shared(child)]
        if shared:
            self._shared[id(made)] = shared
        made["buffers_hit"] = _added(raw, "Shared Hit Blocks", "Local Hit Blocks")
        made["buffers_read"] = _added(raw, "Shared Read Blocks", "Local Read Blocks")
        made["spilled_bytes"] = _spilled_bytes(raw)
        if "Actual Loops" not in raw:
            return
        loops = int(raw["Actual Loops"])
        made["loops"], made["rows_actual"] = loops, raw.get("Actual Rows")
        if "Actual Total Time" in raw:  # not with TIMING OFF
            time_s = float(raw["Actual Total Time"]) * loops / processes / 1e3
            own_s = time_s - sum(child["time_s"] or 0.0 for _, child in direct)
            made["time_s"] = time_s
            made["own_s"] = self.own_s[id(made)] = max(own_s, 0.0)

    def _charge_shared(self, root: PlanNode) -> None:
        """What CTEs and initial subplans took is within whoever first read them, which is not where they are shown."""
        waiting = [root]
        while waiting:
            here = waiting.pop()
            waiting.extend(here["inputs"])
            for name, shared in self._shared.get(id(here), ()):
                left_s = shared["time_s"] or 0.0
                for reader in [*self._readers(here, name, shared), here]:
                    taken_s = min(left_s, reader["own_s"] or 0.0)
                    if taken_s > 0:
                        left_s -= taken_s
                        reader["own_s"] = self.own_s[id(reader)] = (reader["own_s"] or 0.0) - taken_s

    def _readers(self, here: PlanNode, name: str, shared: PlanNode) -> Iterator[PlanNode]:
        """Steps below `here` that read what `name` gives, in the order of the plan."""
        marks = _marks(name)
        waiting = [here]
        while waiting:
            found = waiting.pop()
            if found is shared:
                continue
            waiting.extend(reversed(found["inputs"]))
            raw = self._raw[id(found)]
            if f"CTE {raw.get('CTE Name')}" == name or any(
                mark in str(raw.get(field, "")) for field in _CONDITIONS for mark in marks
            ):
                yield found


def _marks(name: str) -> list[str]:
    """How expressions refer to an initial subplan: by its parameters, ``$0``, from PostgreSQL 17 on by its name."""
    before, _, returns = name.partition(" (returns ")
    return [part.strip() for part in returns.rstrip(")").split(",") if part] or [f"({before})"]


def _is_shared(raw: dict[str, Any]) -> bool:
    return raw.get("Parent Relationship") == "InitPlan"


def _stops(raw: dict[str, Any]) -> bool:
    """Whether the step may leave its inputs before their ends: what they gave then says nothing of estimates."""
    what = raw["Node Type"]
    return (
        what in {"Limit", "Merge Join"}
        or raw.get("Join Type") in {"Semi", "Anti"}
        or "SubPlan" in raw.get("Filter", "")
    )


def _times(raw: dict[str, Any]) -> list[float]:
    """How often each input runs for one run of the step: the inner side of a nested loop once for each outer row.

    At most as often as the loop's own cost has room for: what is kept from the first time costs less the next.
    """
    inputs = raw.get("Plans", ())
    times = [1.0] * len(inputs)
    if raw["Node Type"] == "Nested Loop" and inputs:
        outer_cost, outer_rows = float(inputs[0].get("Total Cost", 0.0)), float(inputs[0].get("Plan Rows", 1))
        for place, child in enumerate(inputs):
            cost = float(child.get("Total Cost", 0.0))
            if child.get("Parent Relationship") == "Inner" and cost > 0:
                room = (float(raw.get("Total Cost", 0.0)) - outer_cost) / cost
                times[place] = max(min(outer_rows, room), 1.0)
    return times


def _what(raw: dict[str, Any]) -> str:
    what = str(raw["Node Type"])
    if what == "Aggregate":
        what = {"Hashed": "Hash Aggregate", "Sorted": "Group Aggregate", "Mixed": "Mixed Aggregate"}.get(
            raw.get("Strategy", ""), what
        )
    elif what == "ModifyTable":
        what = str(raw.get("Operation", what))
    join = raw.get("Join Type", "Inner")
    if join != "Inner":
        what = f"{what} {join} Join" if what == "Nested Loop" else what.replace("Join", f"{join} Join")
    if raw.get("Scan Direction") == "Backward":
        what += " Backward"
    partial = raw.get("Partial Mode", "Simple")
    what = what if partial == "Simple" else f"{partial} {what}"
    return f"Parallel {what}" if raw.get("Parallel Aware") else what


def _on(raw: dict[str, Any]) -> str:
    table = raw.get("Relation Name") or raw.get("Function Name") or raw.get("CTE Name") or ""
    schema = raw.get("Schema", "public")
    if table and schema not in {"public", "pg_catalog"} and "Relation Name" in raw:
        table = f"{schema}.{table}"
    alias = raw.get("Alias", "")
    own_name = raw.get("Relation Name") or raw.get("CTE Name") or raw.get("Function Name")
    name = f"{table} {alias}".strip() if alias != own_name else table
    index = raw.get("Index Name")
    if index is None:
        return str(name)
    return f"{name} by {index}" if name else str(index)


def _detail(raw: dict[str, Any]) -> str:
    parts = [f"{field}: {condition_text(raw[field])}" for field in _CONDITIONS if raw.get(field)]
    name = raw.get("Subplan Name")
    return "; ".join([*([str(name)] if name else []), *parts])


def _added(raw: dict[str, Any], *fields: str) -> int | None:
    return sum(int(raw.get(field, 0)) for field in fields) if fields[0] in raw else None


def _spilled_bytes(raw: dict[str, Any]) -> int | None:
    """What the step itself wrote to disk because memory was short; None where it is not known."""
    sorts = [raw, *raw.get("Workers", ())]
    kb = sum(int(sort.get("Sort Space Used", 0)) for sort in sorts if sort.get("Sort Space Type") == "Disk")
    for groups in ("Full-sort Groups", "Pre-sorted Groups"):
        kb += int(raw.get(groups, {}).get("Sort Space Disk", {}).get("Peak Sort Space Used", 0))
    kb += sum(int(part.get("Disk Usage", 0)) for part in sorts)
    blocks = raw.get("Temp Written Blocks")
    if blocks is None:
        return kb * _KB if kb else None
    own = int(blocks) - sum(int(child.get("Temp Written Blocks", 0)) for child in raw.get("Plans", ()))
    return max(kb * _KB, own * BLOCK_BYTES, 0)
