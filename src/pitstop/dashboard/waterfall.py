"""A trace's tree as the rows of a waterfall: repeated spans folded into one row, gaps with their names, all in order.

The browser gets every row and makes only those in sight; the first ones are drawn at the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.dashboard.kinds import GAP, kind_of, short_statement
from pitstop.model.series import CACHE, DB, HTTP_CLIENT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.analyze.trace_tree import TraceTree, TreeSpan

FEWEST_REPEATED = 4  # equal spans in a row that are folded into one; three are read at a glance
LEAST_GAP_RATIO = 0.01  # of the trace: a row for less would be a bar of a few pixels
PARTING_GAP_RATIO = 0.1  # of the trace: such a gap between equal spans is worth a row of its own, shorter ones are not
FIRST_ROWS = 40  # drawn at the server: more than a window shows
INDENT_PX, MOST_INDENT_PX = 14, 220  # a level; the deepest one
_LANE = 1000  # units of a bar's drawing
_MELT = 1.2  # units below which bars melt into one


class Row(NamedTuple):
    """One row. Times in µs from the trace's start; `size` rows below it; `times` > 0: it folds so many equal spans."""

    depth: int
    kind: str
    name: str
    note: str
    start_us: int
    duration_us: int
    self_us: int
    size: int
    times: int
    id: str
    outcome: str
    line: str
    attrs: tuple[tuple[str, str], ...]
    nbytes: int


class _Item(NamedTuple):
    depth: int
    span: TreeSpan | None
    gap: tuple[float, float, str] | None
    repeated: tuple[TreeSpan, ...]


def rows_of(tree: TraceTree) -> list[Row]:
    """Every row, a parent before what is below it."""
    below: dict[int, list[TreeSpan]] = {}
    for span in tree.spans:
        below.setdefault(span.parent, []).append(span)
    services = {part.service for part in tree.parts}
    rows: list[Row | None] = []
    todo: list[_Item | int] = [_Item(0, root, None, ()) for root in reversed(below.get(-1, []))]
    pending: dict[int, Row] = {}
    while todo:
        item = todo.pop()
        if isinstance(item, int):  # everything below that row stands now
            rows[item] = pending.pop(item)._replace(size=len(rows) - item - 1)
            continue
        place = len(rows)
        rows.append(None)
        pending[place] = _row(item, several=len(services) > 1)
        todo.append(place)
        todo.extend(reversed(_below(item, below, tree.duration_s)))
    return [row for row in rows if row is not None]


def island(rows: Sequence[Row], tree: TraceTree, links: dict[str, str]) -> dict[str, Any]:
    """The rows as the browser takes them: texts once, rows as arrays in the order of `Row`."""
    texts = _Numbered()
    kinds = _Numbered()
    attrs = _Numbered()
    packed = [
        [row.depth, kinds(row.kind), texts(row.name), texts(row.note), row.start_us, row.duration_us, row.self_us,
         row.size, row.times, row.id, texts(row.outcome), texts(row.line), attrs(row.attrs), row.nbytes]
        for row in rows
    ]  # fmt: skip
    return {
        "indent": indent_px(rows),
        "total_us": max(1, round(tree.duration_s * 1e6)),
        "texts": texts.values,
        "kinds": kinds.values,
        "what": [kind_of(str(kind)).what for kind in kinds.values],
        "attrs": attrs.values,
        "rows": packed,
        "links": links,
    }


def first_frame(rows: Sequence[Row], total_s: float) -> list[dict[str, Any]]:
    """The rows that show at first, with their bars as paths."""
    total_us = max(1, round(total_s * 1e6))
    shown: list[dict[str, Any]] = []
    level_px = indent_px(rows)
    at = 0
    while at < len(rows) and len(shown) < FIRST_ROWS:
        row = rows[at]
        inner = rows[at + 1 : at + 1 + row.size] if row.times else ()
        bars = [one for one in inner if one.depth == row.depth + 1] or [row]
        shown.append(
            {
                "row": row,
                "name": short_statement(row.name) if row.kind == DB else row.name,
                "path": bars_path(((one.start_us, one.duration_us) for one in bars), total_us),
                "has": row.depth == 0 or (row.size and not row.times),
                "shut": bool(row.times),
                "indent": round(level_px * row.depth, 1),
            }
        )
        at += 1 + (row.size if row.times else 0)
    return shown


def indent_px(rows: Sequence[Row]) -> float:
    """How far a level is moved in: less in a deep tree, so that its names stay readable."""
    return round(min(INDENT_PX, MOST_INDENT_PX / max(1, *(row.depth for row in rows), 1)), 2)


def bars_path(bars: Iterable[tuple[int, int]], total_us: int) -> str:
    """The `d` of an SVG path of bars in a lane 1000 × 12; what is too narrow to be told apart melts."""
    parts = []
    end = float("-inf")
    for start_us, duration_us in bars:
        left = _LANE * start_us / total_us
        right = min(_LANE, max(_LANE * (start_us + duration_us) / total_us, left + 2))
        if right - end < _MELT:
            continue
        parts.append(f"M{max(left, end):.2f} 0H{right:.2f}V12H{max(left, end):.2f}Z")
        end = right
    return "".join(parts)


def _below(item: _Item, below: dict[int, list[TreeSpan]], whole_s: float) -> list[_Item]:
    """What stands directly below a row, by start."""
    depth = item.depth + 1
    if item.repeated:
        return [_Item(depth, span, None, ()) for span in item.repeated]
    children = below.get(item.span.place, []) if item.span is not None else []
    if item.span is None or not children:
        return []
    gaps = [gap for gap in item.span.gaps if gap.duration_s >= whole_s * LEAST_GAP_RATIO]
    parting = [gap.start_s for gap in gaps if gap.duration_s >= whole_s * PARTING_GAP_RATIO]
    found: list[tuple[float, _Item]] = []
    folded: list[tuple[float, float]] = []
    for run in _runs(children, parting):
        if len(run) >= FEWEST_REPEATED:
            found.append((run[0].start_s, _Item(depth, run[0], None, tuple(run))))
            folded.append((run[0].start_s, run[-1].start_s))
        else:
            found.extend((span.start_s, _Item(depth, span, None, ())) for span in run)
    found.extend(
        (gap.start_s, _Item(depth, None, (gap.start_s, gap.duration_s, gap.name), ()))
        for gap in gaps
        if not any(start_s <= gap.start_s < end_s for start_s, end_s in folded)
    )
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _runs(children: Sequence[TreeSpan], parting: Sequence[float]) -> list[list[TreeSpan]]:
    """`children` cut wherever the next is unlike the one before, has something below it, or a long gap lies between."""
    runs: list[list[TreeSpan]] = []
    for span in children:
        last = runs[-1][-1] if runs else None
        if (
            last is not None
            and (last.kind, last.name, last.children) == (span.kind, span.name, 0)
            and not span.children
            and not any(last.start_s < moment_s < span.start_s for moment_s in parting)
        ):
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs


def _row(item: _Item, *, several: bool) -> Row:
    if item.gap is not None:
        start_s, duration_s, name = item.gap
        start_us, duration_us = _us(start_s), _us(duration_s)
        return Row(item.depth, GAP, name, "", start_us, duration_us, 0, 0, 0, f"gap-{start_us}", "", "", (), 0)
    span = item.span
    assert span is not None
    if item.repeated:
        last_s = max(one.start_s + one.duration_s for one in item.repeated)
        return Row(
            item.depth, span.kind, span.name, _where(span.line), _us(span.start_s), _us(last_s - span.start_s),
            _us(sum(one.self_s for one in item.repeated)), 0, len(item.repeated), f"all-{span.span_id}", "", span.line,
            (), sum(one.nbytes for one in item.repeated),
        )  # fmt: skip
    attrs = tuple((str(key), str(value)) for key, value in span.attrs.items() if key != "line")
    return Row(
        item.depth, span.kind, span.name, _note(span, several=several), _us(span.start_s), _us(span.duration_s),
        _us(span.self_s), 0, 0, span.span_id, span.outcome, span.line, attrs, span.nbytes,
    )  # fmt: skip


def _note(span: TreeSpan, *, several: bool) -> str:
    words = []
    if span.is_root and several:
        words.append(span.service)
    if span.kind in {CACHE, REGION}:
        words.append(f"{kind_of(span.kind).what} · {span.outcome}")
    elif span.is_root or span.kind == HTTP_CLIENT or span.outcome == "error":
        words.append(span.outcome)
    if isinstance(span.attrs.get("wave"), int):
        words.append(f"wave {span.attrs['wave']}" + (" · critical path" if span.attrs.get("critical") is True else ""))
    if span.line:
        words.append(_where(span.line))
    return " · ".join(word for word in words if word)


def _where(line: str) -> str:
    """``shop/orders.py:120 in list_orders`` as ``shop/orders.py:120``: the row is narrow, the detail has it all."""
    return line.partition(" in ")[0]


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


class _Numbered:
    """Each value once, by number; the browser looks it up."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._at: dict[object, int] = {}

    def __call__(self, value: object) -> int:
        at = self._at.get(value)
        if at is None:
            at = self._at[value] = len(self.values)
            self.values.append(value)
        return at
