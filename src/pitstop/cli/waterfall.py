"""A trace as lines of a terminal: the tree of names, a bar where each ran, how long it took and what it did itself.

What repeats is folded into one line, and of a long trace the shortest spans are left out and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.analyze import TraceTree, TreeSpan

FOLDED_FROM = 3  # alike leaves below one parent: from so many on they are one line
MOST_LINES = 60  # of one trace, unless all are asked for: two screens
_DEEPEST = 10  # levels that are set in; deeper ones stay there
_NUMBER = 8  # columns of a duration
_GAP = 1
_NAME_SHARE = 0.45  # of what the numbers leave, the rest is for the bars
_FULL, _AROUND = "█", "─"


class Line(NamedTuple):
    """One line of the waterfall: a span, or `times` alike ones."""

    depth: int
    text: str
    failed: bool
    times: int
    duration_s: float
    self_s: float
    is_leaf: bool
    spans: tuple[TreeSpan, ...]


def lines(tree: TraceTree, *, everything: bool = False) -> tuple[list[Line], int]:
    """The lines in order, and how many there were beyond those shown."""
    shown = [_line([span]) for span in tree.spans] if everything else _folded(tree)
    if everything or len(shown) <= MOST_LINES:
        return shown, 0
    kept = _longest(tree, shown)
    return kept, len(shown) - len(kept)


def drawn(tree: TraceTree, found: Sequence[Line], width: int) -> list[str]:
    """`found` as text of `width` columns, with a head."""
    from pitstop.analyze.units import cut_middle, milliseconds_text  # noqa: PLC0415  numpy
    from pitstop.cli.terminal import printable  # noqa: PLC0415

    room = width - 2 * (_NUMBER + _GAP) - _GAP
    name_width = int(room * _NAME_SHARE)
    bar_width = room - name_width
    out = [f"{'span':{name_width}} {'':{bar_width}} {'ms':>{_NUMBER}} {'self ms':>{_NUMBER}}"]
    for line in found:
        times = f" ×{line.times}" if line.times > 1 else ""
        mark = "▲ " if line.failed else ""
        indent = "  " * min(line.depth, _DEEPEST)
        name = cut_middle(f"{indent}{mark}{printable(line.text)}", name_width - len(times)) + times
        bar = _bar(line, tree.duration_s, bar_width)
        took = f"{milliseconds_text(line.duration_s):>{_NUMBER}} {milliseconds_text(line.self_s):>{_NUMBER}}"
        out.append(f"{name:{name_width}} {bar} {took}")
    return out


def _folded(tree: TraceTree) -> list[Line]:
    """Leaves of one parent that are alike become one line, where the first of them stands."""
    alike: dict[tuple[int, str, str, str], list[TreeSpan]] = {}
    for span in tree.spans:
        if not span.children and not span.is_root:
            alike.setdefault(_alike(span), []).append(span)
    out = []
    for span in tree.spans:
        group = alike.get(_alike(span), []) if not span.children and not span.is_root else []
        if len(group) < FOLDED_FROM:
            out.append(_line([span]))
        elif group[0] is span:
            out.append(_line(group))
    return out


def _alike(span: TreeSpan) -> tuple[int, str, str, str]:
    return span.parent, span.kind, span.name, span.outcome


def _line(spans: Sequence[TreeSpan]) -> Line:
    from pitstop.analyze.stats import is_error  # noqa: PLC0415  numpy
    from pitstop.analyze.trace_tree import AROUND  # noqa: PLC0415  numpy

    first = spans[0]
    text = f"{first.service}: {first.name}" if first.is_root and first.place else f"{first.kind} {first.name}"
    return Line(
        depth=first.depth,
        text=first.name if first.is_root and not first.place else text,
        failed=is_error(first.outcome),
        times=len(spans),
        duration_s=sum(span.duration_s for span in spans),
        self_s=sum(span.self_s for span in spans),
        is_leaf=not first.children and first.kind not in AROUND,
        spans=tuple(spans),
    )


def _longest(tree: TraceTree, found: list[Line]) -> list[Line]:
    """The longest lines with all that they stand below, in the order of the waterfall."""
    wanted: set[int] = set()
    for line in sorted(found, key=lambda line: -line.duration_s):
        place = line.spans[0].place
        path = []
        while place >= 0 and place not in wanted:
            path.append(place)
            place = tree.spans[place].parent
        if len(wanted) + len(path) > MOST_LINES:
            break
        wanted.update(path)
    return [line for line in found if line.spans[0].place in wanted]


def _bar(line: Line, whole_s: float, width: int) -> str:
    cells = [" "] * width
    for start_s, duration_s in ((span.start_s, span.duration_s) for span in line.spans):
        first = min(width - 1, int(start_s / whole_s * width)) if whole_s else 0
        last = min(width - 1, int((start_s + duration_s) / whole_s * width)) if whole_s else 0
        cells[first : last + 1] = [_FULL if line.is_leaf else _AROUND] * (last + 1 - first)
    return "".join(cells)


def busiest(spans: Iterable[TreeSpan], number: int) -> list[tuple[TreeSpan, int, float]]:
    """Code lines by the time of the spans they caused: one of the spans, how many, and their own time, seconds."""
    found: dict[tuple[str, str], list[TreeSpan]] = {}
    for span in spans:
        if span.line:
            found.setdefault((span.line, span.name), []).append(span)
    rows = [(group[0], len(group), sum(span.self_s for span in group)) for group in found.values()]
    return sorted(rows, key=lambda row: -row[2])[:number]
