"""Reading MariaDB's ``EXPLAIN FORMAT=JSON`` and ``ANALYZE FORMAT=JSON`` (10.5 on), and MySQL's ``EXPLAIN FORMAT=JSON``.

MariaDB gives each table's own time over all loops, milliseconds, and rows per loop before the condition; ``r_filtered``
is the share that the condition keeps, in percent (MariaDB's manual, "ANALYZE FORMAT=JSON").
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pitstop.model.errors import SettingError
from pitstop.model.tuned import PlanBody
from pitstop.record.statements import MYSQL, normalized
from pitstop.tune.database.findings_mariadb import found_at
from pitstop.tune.database.plan import findings_of, mark_costly, node, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.tuned import PlanNode

_ACCESS = {
    "ALL": "Table Scan",
    "index": "Whole Index Scan",
    "range": "Index Range Scan",
    "ref": "Index Lookup",
    "eq_ref": "Unique Index Lookup",
    "ref_or_null": "Index Lookup",
    "const": "One Row",
    "system": "One Row",
    "fulltext": "Full-text Search",
    "index_merge": "Index Merge",
    "unique_subquery": "Unique Index Lookup",
    "index_subquery": "Index Lookup",
}
_STEPS = {  # what is a step by itself; everything else that holds steps is only a bracket around them
    "query_block": "Select",
    "filesort": "Sort",
    "temporary_table": "Temporary Table",
    "block-nl-join": "Block Nested Loop Join",
    "union_result": "Union",
    "recursive_union": "Recursive Union",
    "expression_cache": "Expression Cache",
    "window_functions_computation": "Window Functions",
    "ordering_operation": "Order",
    "grouping_operation": "Group",
    "duplicates_removal": "Distinct",
}
_MEMBER = re.compile(r'^(\s*+"[\w-]++": )"(.*)"(,?)$', re.MULTILINE)
_CONDITIONS = ("attached_condition", "index_condition", "having_condition", "const_condition", "sort_key")


def read_mariadb(text: str, statement: str, dialect: str = "mariadb", duration_s: float | None = None) -> PlanBody:
    """The plan in `text`, the JSON of one EXPLAIN or ANALYZE, of the `statement`, whose pattern is kept.

    `duration_s` is what whoever ran it has measured; without it the server's own figure is taken. Raises SettingError
    where it is no such document.
    """
    try:
        written = text if dialect == "mysql" else _MEMBER.sub(_escaped, text)
        document: dict[str, Any] = json.loads(written, object_pairs_hook=_with_twins)
        block: dict[str, Any] = document["query_block"]
    except (ValueError, KeyError, TypeError):
        raise SettingError("this is no EXPLAIN FORMAT=JSON of MariaDB or MySQL: it has no query_block") from None
    own_s: dict[int, float] = {}
    root = _step("query_block", block, own_s)
    analyzed = any(here["loops"] is not None for here in walk(root))
    weights = own_s if analyzed else {id(here): _weight(here) for here in walk(root)}
    mark_costly(root, weights)
    return PlanBody(
        statement=normalized(statement, MYSQL),
        dialect=dialect,
        analyzed=analyzed,
        duration_s=(duration_s if duration_s is not None else root["time_s"]) if analyzed else None,
        root=root,
        findings=findings_of(root),
    )


def _escaped(member: re.Match[str]) -> str:
    """MariaDB writes conditions into its JSON as they are, with quotes and backslashes; each stands on a line."""
    return f"{member[1]}{json.dumps(member[2])}{member[3]}"


def _with_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Before 10.9 the tables of a join are members of one name."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name if name not in found else f"{name}#{len(found)}"] = value
    return found


def _steps(holder: dict[str, Any], own_s: dict[int, float]) -> Iterator[PlanNode]:
    for name, value in holder.items():
        kind = name.partition("#")[0]
        if kind == "table" and isinstance(value, dict):
            yield _table(value, own_s)
        elif kind in _STEPS and isinstance(value, dict):
            yield _step(kind, value, own_s)
        elif kind == "nested_loop" and isinstance(value, list):
            found = [made for part in value for made in _steps(part, own_s)]
            if len(found) == 1:
                yield found[0]
            else:
                yield _around("Nested Loop", found, own_s)
        elif isinstance(value, dict):
            yield from _steps(value, own_s)
        elif isinstance(value, list):
            for part in value:
                if isinstance(part, dict):
                    yield from _steps(part, own_s)


def _around(what: str, inputs: list[PlanNode], own_s: dict[int, float]) -> PlanNode:
    made = node(what, inputs=inputs)
    _timed(made, 0.0 if any(child["time_s"] is not None for child in inputs) else None, own_s)
    return made


def _step(kind: str, raw: dict[str, Any], own_s: dict[int, float]) -> PlanNode:
    made = node(
        _STEPS[kind] if kind != "block-nl-join" else f"{raw.get('join_type', 'BNL')} Join",
        detail=_detail(raw),
        cost=_cost(raw),
        inputs=list(_steps(raw, own_s)),
    )
    if raw.get("r_loops") is not None:
        made["loops"] = int(raw["r_loops"])
    made["rows_actual"] = raw.get("r_output_rows", raw.get("r_effective_rows", raw.get("r_rows")))
    total_s = _seconds(raw, "r_total_time_ms")
    below_s = sum(child["time_s"] or 0.0 for child in made["inputs"])
    if kind == "filesort" and "temporary_table" in raw:
        own = total_s  # the table was filled before
    elif total_s is not None:
        own = max(total_s - below_s, 0.0)
    else:
        own = _seconds(raw, "r_other_time_ms", "r_unpack_time_ms")
    if own is None and any(child["time_s"] is not None for child in made["inputs"]):
        own = 0.0
    _timed(made, own, own_s)
    made["findings"] += found_at(kind, raw, made)
    return made


def _table(raw: dict[str, Any], own_s: dict[int, float]) -> PlanNode:
    if "access_type" not in raw:
        return node(str(raw.get("message", "No Table")))
    what = _ACCESS.get(raw["access_type"], str(raw["access_type"]))
    if raw.get("using_index"):
        what = f"Covering {what}"
    for change in ("insert", "update", "delete", "replace"):
        if raw.get(change):
            what = f"{change.title()} by {what}"
    name, key = str(raw.get("table_name", "")), raw.get("key")
    made = node(
        what,
        on=f"{name} by {key}" if key and key != name else name,
        detail=_detail(raw),
        cost=_cost(raw),
        rows_estimated=raw.get("rows", raw.get("rows_examined_per_scan")),
        inputs=list(_steps(raw, own_s)),
    )
    if raw.get("r_loops") is not None:
        made["loops"], made["rows_actual"] = int(raw["r_loops"]), raw.get("r_rows")
    pages = raw.get("r_engine_stats", {})
    if pages:
        read = int(pages.get("pages_read_count", 0))
        made["buffers_read"], made["buffers_hit"] = read, max(int(pages.get("pages_accessed", 0)) - read, 0)
    _timed(made, _seconds(raw, "r_table_time_ms", "r_other_time_ms"), own_s)
    made["findings"] += found_at("table", raw, made)
    return made


def _timed(made: PlanNode, own: float | None, own_s: dict[int, float]) -> None:
    if own is not None:
        made["own_s"] = own_s[id(made)] = own
        made["time_s"] = own + sum(child["time_s"] or 0.0 for child in made["inputs"])


def _seconds(raw: dict[str, Any], *fields: str) -> float | None:
    found = [float(raw[field]) / 1e3 for field in fields if raw.get(field) is not None]
    return sum(found) if found else None


def _cost(raw: dict[str, Any]) -> float | None:
    """MariaDB 11's, or MySQL's."""
    info = raw.get("cost_info", {})
    cost = raw.get("cost", info.get("query_cost", info.get("prefix_cost")))
    return None if cost is None else float(cost)


def _detail(raw: dict[str, Any]) -> str:
    parts = []
    if raw.get("ref"):
        parts.append("ref: " + ", ".join(map(str, raw["ref"])))
    for field in _CONDITIONS:
        if raw.get(field):
            text = str(raw[field]).replace("(subquery#", "(subquery_")  # not a comment
            parts.append(f"{field.replace('_', ' ')}: {normalized(text, MYSQL)}")
    return "; ".join(parts)


def _weight(here: PlanNode) -> float:
    """What a step that was not run will take, where the server tells no cost of single steps: the rows it reads."""
    return float(here["rows_estimated"] or 0.0)
