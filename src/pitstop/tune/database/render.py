"""A plan as a tree of text: what each step did, what was expected, where the time went, and what to do."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from pitstop.tune.database.wording import bytes_text, duration_text, rows_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.tuned import PlanBody, PlanNode

WIDTH = 100
_LEAST_STEP = 24
_NUMBER_WIDTH = 10
_DEEPEST = 24  # levels that are set in; deeper ones stay there
COSTLY = "→"


def render(plan: PlanBody, width: int = WIDTH) -> str:
    """`plan` in lines of at most `width` columns: the costly path marked by →, findings below the step they are of."""
    return "\n".join(_lines(plan, width))


def _lines(plan: PlanBody, width: int) -> Iterator[str]:
    analyzed = plan["analyzed"]
    took = f", {duration_text(plan['duration_s'])}" if plan["duration_s"] is not None else ""
    yield from _wrapped(plan["statement"], width, "", "")
    yield f"{plan['dialect']}, {'analyzed' if analyzed else 'not run'}{took}"
    yield ""
    heads = ("rows", "expected", "ms", "own ms") if analyzed else ("expected", "cost")
    room = max(width - len(heads) * _NUMBER_WIDTH - 2, _LEAST_STEP)
    yield f"  {'step':{room}}" + "".join(f"{head:>{_NUMBER_WIDTH}}" for head in heads)
    yield from _step(plan["root"], room, width, "", "", analyzed=analyzed)
    whole = [finding for finding in plan["findings"] if not _is_of_a_step(plan["root"], finding)]
    if whole:
        yield ""
        for finding in whole:
            yield from _wrapped(finding, width, "! ", "  ")


def _step(node: PlanNode, room: int, width: int, lead: str, below: str, *, analyzed: bool) -> Iterator[str]:
    """The step and all below it. `lead` stands before its name, `below` before what belongs to it."""
    mark = COSTLY if node["costly"] else " "
    times = f" ×{node['loops']:,}" if (node["loops"] or 0) > 1 else ""
    name = f"{node['what']} {node['on']}".strip() if not node["on"] else f"{node['what']} on {node['on']}"
    text = _cut(f"{lead}{name}", room - len(times)) + times
    yield f"{mark} {text:{room}}{_numbers(node, analyzed=analyzed)}".rstrip()
    inner = f"  {below}{'│ ' if node['inputs'] else '  '}"
    if node["detail"]:
        yield from _wrapped(node["detail"], width, inner, inner)
    extra = _extra(node)
    if extra:
        yield from _wrapped(extra, width, inner, inner)
    for finding in node["findings"]:
        yield from _wrapped(finding, width, f"{inner}! ", f"{inner}  ")
    deeper = below if len(below) < 2 * _DEEPEST else below[: 2 * _DEEPEST]
    for place, child in enumerate(node["inputs"]):
        last = place + 1 == len(node["inputs"])
        yield from _step(
            child,
            room,
            width,
            f"{deeper}{'└ ' if last else '├ '}",
            f"{deeper}{'  ' if last else '│ '}",
            analyzed=analyzed,
        )


def _numbers(node: PlanNode, *, analyzed: bool) -> str:
    actual, expected = node["rows_actual"], node["rows_estimated"]
    cells = ["–" if actual is None else rows_text(actual), "–" if expected is None else rows_text(expected)]
    if analyzed:
        cells += [_milliseconds(node["time_s"]), _milliseconds(node["own_s"])]
    else:
        cells = [cells[1], "–" if node["cost"] is None else f"{node['cost']:,.0f}"]
    return "".join(f"{cell:>{_NUMBER_WIDTH}}" for cell in cells)


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    ms = seconds * 1e3
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"  # noqa: PLR2004  three figures


def _extra(node: PlanNode) -> str:
    parts = []
    hit, read = node["buffers_hit"] or 0, node["buffers_read"] or 0
    below = sum((child["buffers_hit"] or 0) + (child["buffers_read"] or 0) for child in node["inputs"])
    if hit + read > below:  # some are its own
        parts.append(f"pages: {hit:,} in memory, {read:,} read")
    if node["spilled_bytes"]:
        parts.append(f"{bytes_text(node['spilled_bytes'])} on disk")
    return "; ".join(parts)


def _is_of_a_step(root: PlanNode, finding: str) -> bool:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting.extend(node["inputs"])
        if any(finding.endswith(text) for text in node["findings"]):
            return True
    return False


def _wrapped(text: str, width: int, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        _printable(text), max(width, len(first) + _LEAST_STEP), initial_indent=first, subsequent_indent=then,
        break_on_hyphens=False,
    )  # fmt: skip


def _cut(text: str, room: int) -> str:
    text = _printable(text)
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _printable(text: str) -> str:
    """Names in a database may hold anything, also what steers a terminal."""
    return (
        text
        if text.isprintable()
        else "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    )
