"""Flame graphs as flat columns, which the browser draws: a frame before what it called, its depth, name and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pitstop.analyze import DiffNode, FlameGraph, FlameNode, ProfileDiff


def flat(graph: FlameGraph) -> dict[str, Any]:
    """`depth`, `name` (place in `names`), `value` and `self` in µs of every frame, outermost first."""
    out = _Columns()
    todo: list[tuple[int, FlameNode]] = [(0, graph.root)]
    while todo:
        depth, node = todo.pop()
        out.add(depth, node.name, node.total_s * 1e6, node.self_s * 1e6)
        todo += [(depth + 1, child) for child in reversed(node.children)]
    return {"depth": out.depth, "name": out.name, "value": out.value, "self": out.own, "names": list(out.names)}


def differing(diff: ProfileDiff) -> dict[str, Any]:
    """The same with `before`, the share that each frame had of the span compared with.

    A frame that is gone has no width; the table names it.
    """
    out = _Columns()
    before: list[float] = []
    whole_us = diff.total_s * 1e6
    todo: list[tuple[int, DiffNode]] = [(0, diff.root)]
    while todo:
        depth, node = todo.pop()
        own = node.ratio - sum(child.ratio for child in node.children)
        out.add(depth, node.name, node.ratio * whole_us, max(0.0, own) * whole_us)
        before.append(round(node.before_ratio, 6))
        todo += [(depth + 1, child) for child in reversed(node.children)]
    return {
        "depth": out.depth,
        "name": out.name,
        "value": out.value,
        "self": out.own,
        "names": list(out.names),
        "before": before,
    }


class _Columns:
    def __init__(self) -> None:
        self.depth: list[int] = []
        self.name: list[int] = []
        self.value: list[int] = []
        self.own: list[int] = []
        self.names: dict[str, int] = {}

    def add(self, depth: int, name: str, value_us: float, own_us: float) -> None:
        self.depth.append(depth)
        self.name.append(self.names.setdefault(name, len(self.names)))
        self.value.append(round(value_us))
        self.own.append(round(own_us))
