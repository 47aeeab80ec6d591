"""What a step of PostgreSQL's plan gives away, in words that say what to do.

Thresholds keep silent about what costs nothing: a step that reads a hundred rows may do so in any way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.tune.database.wording import bytes_text, duration_text, rows_text, times_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.tuned import PlanNode

MANY_ROWS = 1000  # below it PostgreSQL's default costs make a scan of the table about as cheap as an index
FEW_RATIO = 0.1  # an index pays where less than about a tenth of a table is wanted: PostgreSQL's wiki, "Slow Query"
WRONG_TIMES = 10  # estimates that far off lead to wrong joins: the same factor as explain.depesz.com and pev2 mark
LEAST_WRONG_ROWS = 100
STALE_RATIO = 0.1  # of rows of an index-only scan that were looked up in the table after all
MANY_LOOPS = 100
SCAN_COST = 100.0  # of a scan that was not run: some 5,000 rows of usual width
TUPLE_COST = 0.0125  # cpu_tuple_cost and one cpu_operator_cost of PostgreSQL's defaults
JIT_RATIO = 0.25
PLANNING_MS = 10.0
_DEEP_OFFSET_ROWS = 1000


def found_at(raw: dict[str, Any], node: PlanNode, inputs: list[dict[str, Any]], *, stopped: bool) -> list[str]:
    """What the step `raw` gives away by itself and by the steps right below it.

    `stopped`: what is above may have had enough early, so fewer rows than expected are no fault.
    """
    found = [text for look in _LOOKS for text in look(raw, node, inputs)]
    if not (stopped and (node["rows_actual"] or 0.0) < (node["rows_estimated"] or 0.0)):
        found += _estimate(node, inputs)
    return found


def found_in_whole(whole: dict[str, Any]) -> list[str]:
    """What only the plan as a whole shows: compiling and planning that took longer than was won."""
    found = []
    execution_ms = float(whole.get("Execution Time", 0.0))
    jit_ms = float(whole.get("JIT", {}).get("Timing", {}).get("Total", 0.0))
    if execution_ms and jit_ms > JIT_RATIO * execution_ms:
        found.append(
            f"compiling took {duration_text(jit_ms / 1e3)} of {duration_text(execution_ms / 1e3)}: "
            "raise jit_above_cost, or SET LOCAL jit = off for this statement"
        )
    planning_ms = float(whole.get("Planning Time", 0.0))
    if execution_ms and planning_ms > max(execution_ms, PLANNING_MS):
        found.append(
            f"planning took {duration_text(planning_ms / 1e3)}, running {duration_text(execution_ms / 1e3)}: "
            "prepare the statement, or join fewer tables and partitions"
        )
    return found


def _estimate(node: PlanNode, inputs: list[dict[str, Any]]) -> Iterator[str]:
    expected, got = node["rows_estimated"], node["rows_actual"]
    if expected is None or got is None or not node["loops"] or any(_is_off(child) for child in inputs):
        return  # what is below it is off already: that is where to mend it
    if not _differs(expected, got):
        return
    more = got > expected
    ratio = got / max(expected, 1.0) if more else expected / max(got, 1.0)
    yield (
        f"expected {rows_text(expected)} rows and got {rows_text(got)}, {times_text(ratio)} as "
        f"{'many' if more else 'few'}: ANALYZE the table; where columns go together, CREATE STATISTICS"
    )


def _is_off(raw: dict[str, Any]) -> bool:
    return bool(raw.get("Actual Loops")) and _differs(raw.get("Plan Rows", 0.0), raw.get("Actual Rows", 0.0))


def _differs(expected: float, got: float) -> bool:
    most, least = max(expected, got), max(min(expected, got), 1.0)
    return most >= LEAST_WRONG_ROWS and most / least >= WRONG_TIMES


def _scan(raw: dict[str, Any], node: PlanNode, _: list[dict[str, Any]]) -> Iterator[str]:
    if raw["Node Type"] != "Seq Scan" or "Filter" not in raw:
        return
    loops = raw.get("Actual Loops")
    if loops is None:
        cost, rows = node["cost"] or 0.0, node["rows_estimated"] or 0.0
        if cost >= SCAN_COST and rows * TUPLE_COST < FEW_RATIO * cost:
            yield f"reads the whole table for about {rows_text(rows)} rows: an index on what the filter compares"
        return
    kept, removed = float(raw.get("Actual Rows", 0)), float(raw.get("Rows Removed by Filter", 0))
    if (kept + removed) * loops >= MANY_ROWS and kept <= FEW_RATIO * (kept + removed):
        again = f", {times_text(loops)}" if loops > 1 else ""
        yield (
            f"reads {rows_text(kept + removed)} rows to keep {rows_text(kept)}{again}: "
            "an index on what the filter compares"
        )


def _index(raw: dict[str, Any], _: PlanNode, __: list[dict[str, Any]]) -> Iterator[str]:
    loops = raw.get("Actual Loops") or 0
    kept, removed = float(raw.get("Actual Rows", 0)), float(raw.get("Rows Removed by Filter", 0))
    if "Index" in raw["Node Type"] and removed * loops >= MANY_ROWS and kept <= FEW_RATIO * (kept + removed):
        yield (
            f"the index finds {rows_text(kept + removed)} rows and the filter keeps {rows_text(kept)}: "
            "an index with the filter's columns, too"
        )
    fetches = float(raw.get("Heap Fetches", 0))
    if fetches >= MANY_ROWS and fetches > STALE_RATIO * kept * loops:
        yield f"looked up {rows_text(fetches)} rows in the table although the index has all columns: VACUUM it"
    lossy = float(raw.get("Lossy Heap Blocks", 0))
    if lossy:
        yield f"{rows_text(lossy)} pages were read whole because work_mem held no list of their rows: raise work_mem"


def _spill(raw: dict[str, Any], node: PlanNode, _: list[dict[str, Any]]) -> Iterator[str]:
    spilled = node["spilled_bytes"] or 0
    if not spilled:
        return
    what = raw["Node Type"]
    size = bytes_text(spilled)
    if "Sort" in what:
        yield f"sorted {size} on disk: an index in this order, or a larger work_mem for this statement (SET LOCAL)"
    elif what in {"Hash", "Hash Join"}:
        yield f"the hash table went to disk, {size}: a larger work_mem or hash_mem_multiplier for this statement"
    elif what == "Aggregate":
        yield f"groups went to disk, {size}: a larger work_mem, or an index in the order of the groups"
    else:
        yield f"{size} went to disk: a larger work_mem for this statement (SET LOCAL)"


def _loop(raw: dict[str, Any], _: PlanNode, inputs: list[dict[str, Any]]) -> Iterator[str]:
    if raw["Node Type"] != "Nested Loop":
        return
    for child in inputs:
        loops = child.get("Actual Loops") or 0
        if child.get("Parent Relationship") == "Inner" and child["Node Type"] == "Seq Scan" and loops >= MANY_LOOPS:
            yield (
                f"reads {child.get('Relation Name', 'its inner side')} whole {times_text(loops)}: "
                "an index on the joined column"
            )


def _offset(raw: dict[str, Any], node: PlanNode, inputs: list[dict[str, Any]]) -> Iterator[str]:
    if raw["Node Type"] != "Limit" or not inputs or not node["loops"]:
        return
    read, kept = float(inputs[0].get("Actual Rows", 0)), node["rows_actual"] or 0.0
    if read - kept >= _DEEP_OFFSET_ROWS and kept <= FEW_RATIO * read:
        yield f"skips {rows_text(read - kept)} rows to give {rows_text(kept)}: page by the last key instead of OFFSET"


def _workers(raw: dict[str, Any], _: PlanNode, __: list[dict[str, Any]]) -> Iterator[str]:
    planned, launched = raw.get("Workers Planned", 0), raw.get("Workers Launched")
    if launched is not None and launched < planned:
        yield f"{launched} of {planned} workers were free: raise max_parallel_workers, or plan with fewer"


_LOOKS = (_scan, _index, _loop, _spill, _offset, _workers)
