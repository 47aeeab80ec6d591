"""What a step of MariaDB's or MySQL's plan gives away, in words that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.tune.database.findings_postgresql import FEW_RATIO, LEAST_WRONG_ROWS, MANY_ROWS, WRONG_TIMES
from pitstop.tune.database.wording import rows_text, times_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.tuned import PlanNode

_WHOLE = ("ALL", "index")  # access types that read everything


def found_at(kind: str, raw: dict[str, Any], made: PlanNode) -> list[str]:
    """What the step `raw`, a ``table``, ``filesort`` or ``block-nl-join`` of the document, gives away."""
    look = _LOOKS.get(kind)
    return list(look(raw, made)) if look is not None else []


def _table(raw: dict[str, Any], made: PlanNode) -> Iterator[str]:
    loops = made["loops"]
    if loops is None:
        rows = float(made["rows_estimated"] or 0)
        if raw["access_type"] in _WHOLE and raw.get("attached_condition") and rows >= MANY_ROWS:
            yield f"reads about {rows_text(rows)} rows, the whole table: an index on what the condition compares"
        return
    if not loops:
        return
    read, expected = float(made["rows_actual"] or 0.0), float(made["rows_estimated"] or 0.0)
    kept = read * float(raw.get("r_filtered", 100.0)) / 100
    if "attached_condition" in raw and read * loops >= MANY_ROWS and kept <= FEW_RATIO * read:
        again = f", {times_text(loops)}" if loops > 1 else ""
        if raw["access_type"] in _WHOLE:
            yield (
                f"reads {rows_text(read)} rows to keep {rows_text(kept)}{again}: "
                "an index on what the condition compares"
            )
        else:
            yield (
                f"the index finds {rows_text(read)} rows and the condition keeps {rows_text(kept)}{again}: "
                "an index with the condition's columns, too"
            )
    most, least = max(read, expected), max(min(read, expected), 1.0)
    # fewer than expected may be a LIMIT's doing, which the document does not tell
    if read > expected and most >= LEAST_WRONG_ROWS and most / least >= WRONG_TIMES and not _is_derived(raw):
        yield (
            f"expected {rows_text(expected)} rows and got {rows_text(read)}, {times_text(most / least)} as many: "
            "ANALYZE TABLE, or ANALYZE TABLE … PERSISTENT FOR ALL"
        )


def _is_derived(raw: dict[str, Any]) -> bool:
    return str(raw.get("table_name", "")).startswith("<")


def _sort(raw: dict[str, Any], _: PlanNode) -> Iterator[str]:
    passes = int(raw.get("r_sort_passes") or 0)
    if passes:
        yield f"sorted on disk in {passes} passes: an index in this order, or a larger sort_buffer_size"


def _join(raw: dict[str, Any], _: PlanNode) -> Iterator[str]:
    table = raw.get("table", {})
    loops = raw.get("r_loops")
    if "BNLH" in str(raw.get("join_type", "")):
        return  # a hash join reads it once
    rows = float(table.get("r_rows" if loops else "rows") or 0.0)
    compared = rows * float(loops or 1)
    if compared >= MANY_ROWS:
        yield (
            f"compares {rows_text(rows)} rows of {table.get('table_name', 'the table')} with each of what is joined "
            "to it: an index on the joined column"
        )


_LOOKS = {"table": _table, "filesort": _sort, "block-nl-join": _join}
