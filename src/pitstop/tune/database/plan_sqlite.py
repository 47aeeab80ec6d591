"""Reading SQLite's ``EXPLAIN QUERY PLAN``: the tree of its rows by their parents.

SQLite tells neither costs nor what a step has taken; how many rows a scan reads is known from the table's size
(sqlite.org/eqp.html).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pitstop.model.tuned import PlanBody
from pitstop.record.statements import SQLITE, normalized
from pitstop.tune.database.plan import findings_of, mark_costly, node, walk
from pitstop.tune.database.wording import rows_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pitstop.model.tuned import PlanNode

MANY_ROWS = 1000  # a table that a scan of is worth a word
_SEARCH_ROWS = 10.0  # what is assumed of a lookup: SQLite's own guess for an index that ANALYZE has not seen
_UNKNOWN_ROWS = 100.0  # of a subquery

_READS = re.compile(
    r"(?P<what>SCAN|SEARCH)\ (?:TABLE\ )?(?P<table>\S+)(?:\ AS\ (?P<alias>\S+))?"
    r"(?:\ USING\ (?P<how>AUTOMATIC\ (?:PARTIAL\ )?COVERING\ INDEX|COVERING\ INDEX|INTEGER\ PRIMARY\ KEY|INDEX"
    r"|PRIMARY\ KEY)(?:\ (?P<index>[^\s(]+))?)?(?P<rest>.*)",
    re.VERBOSE,
)


def read_sqlite(
    rows: Iterable[tuple[int, int, int, str]],
    statement: str,
    sizes: Mapping[str, int] | None = None,
    *,
    aliases: Mapping[str, str] | None = None,
    duration_s: float | None = None,
    rows_given: int | None = None,
) -> PlanBody:
    """The plan in `rows`, as EXPLAIN QUERY PLAN gives them, of the `statement`, whose pattern is kept.

    `sizes` are rows by table, where they are known, `aliases` tables by other names that the statement gives them: the
    plan has only those. `duration_s` and `rows_given` are what running it has shown.
    """
    pattern = normalized(statement, SQLITE)
    searches = re.search(r"\b(where|join|on)\b", pattern, re.IGNORECASE) is not None
    known = {name.lower(): size for name, size in (sizes or {}).items()}
    root = node("Statement")
    by_id: dict[int, PlanNode] = {0: root}
    for id_, parent, _, detail in rows:
        by_id[id_] = made = _step(detail, known, aliases or {})
        by_id.get(parent, root)["inputs"].append(made)
    weights: dict[int, float] = {}
    _weigh(root, weights, 1.0)
    _find(root, weights, searches=searches)
    mark_costly(root, weights)
    if duration_s is not None:
        root["time_s"], root["rows_actual"], root["loops"] = duration_s, rows_given, 1
    return PlanBody(
        statement=pattern,
        dialect="sqlite",
        analyzed=duration_s is not None,
        duration_s=duration_s,
        root=root,
        findings=findings_of(root),
    )


def _step(detail: str, sizes: Mapping[str, int], aliases: Mapping[str, str]) -> PlanNode:
    found = _READS.fullmatch(detail)
    if found is None or detail.endswith((" CONSTANT ROW", " CONSTANT ROWS")):
        what, _, rest = detail.partition(" (")
        return node(what.capitalize(), detail=normalized(f"({rest}", SQLITE) if rest else "")
    how, index = found["how"], found["index"]
    alias = found["alias"] or found["table"]
    table = found["table"] if found["alias"] else aliases.get(alias.lower(), alias)
    on = f"{table} {alias}" if alias != table else table
    if index:
        on += f" by {index}"
    what = found["what"].capitalize() + (f" using {how.lower()}" if how else "")
    rows = float(sizes[table.lower()]) if table.lower() in sizes and found["what"] == "SCAN" else None
    return node(what, on=on, detail=normalized(found["rest"].strip(), SQLITE), rows_estimated=rows)


def _weigh(root: PlanNode, weights: dict[int, float], outer: float) -> float:
    """Rows that each step below `root` reads, roughly; tables that stand side by side are loops within loops."""
    rows = outer
    for here in root["inputs"]:
        what = here["what"]
        if what.startswith("Scan"):
            rows *= max(here["rows_estimated"] or _UNKNOWN_ROWS, 1.0)
            weights[id(here)] = rows
        elif what.startswith("Search"):
            weights[id(here)] = rows * _SEARCH_ROWS
        elif what.startswith("Use temp"):
            weights[id(here)] = rows
        else:
            _weigh(here, weights, rows if what.startswith("Correlated") else 1.0)
    return rows


def _find(root: PlanNode, weights: Mapping[int, float], *, searches: bool) -> None:
    for parent in walk(root):
        before = 0
        for here in parent["inputs"]:
            what, size = here["what"], here["rows_estimated"] or 0.0
            if what.startswith("Scan"):
                if before and size >= MANY_ROWS:
                    here["findings"].append(
                        f"reads all {rows_text(size)} rows again for each row of what stands before it: "
                        "an index on the joined column"
                    )
                elif searches and size >= MANY_ROWS:
                    here["findings"].append(
                        f"reads all {rows_text(size)} rows: an index on what WHERE compares, if it wants few of them"
                    )
            elif "automatic" in what:
                columns = here["detail"].replace("=?", "").replace("= ?", "")
                here["findings"].append(f"builds an index on {columns} each time the statement runs: create it")
            elif what.startswith("Use temp") and weights.get(id(here), 0.0) >= MANY_ROWS:
                here["findings"].append("sorts what it has read: an index in this order, if many rows come out")
            elif what.startswith("Correlated"):
                here["findings"].append("runs once for each row of the query around it: join it instead")
            before += what.startswith(("Scan", "Search"))
