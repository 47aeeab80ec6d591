"""What plans of all databases have in common: their nodes, where the time goes, and the path to the costly step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.tuned import PlanBody, PlanNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["PlanBody", "PlanNode", "findings_of", "mark_costly", "node", "tables_of", "walk"]


def node(
    what: str,
    *,
    on: str = "",
    detail: str = "",
    inputs: Sequence[PlanNode] = (),
    cost: float | None = None,
    rows_estimated: float | None = None,
) -> PlanNode:
    """A step that was not run; whoever reads an analyzed plan fills in the rest."""
    return PlanNode(
        what=what,
        on=on,
        detail=detail,
        cost=cost,
        rows_estimated=rows_estimated,
        rows_actual=None,
        loops=None,
        time_s=None,
        own_s=None,
        buffers_hit=None,
        buffers_read=None,
        spilled_bytes=None,
        findings=[],
        costly=False,
        inputs=list(inputs),
    )


def walk(root: PlanNode) -> Iterator[PlanNode]:
    """`root` and all below it, parents first. No recursion: plans of generated statements are deep."""
    waiting = [root]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(reversed(here["inputs"]))


def mark_costly(root: PlanNode, own: Mapping[int, float]) -> None:
    """Mark the path from `root` to the step that takes most by itself.

    `own` is each step's own share, by the `id` of its node: seconds where the plan was run, else cost. A plan whose
    steps all have none has no costly path.
    """
    parents = {id(child): here for here in walk(root) for child in here["inputs"]}
    worst = max(walk(root), key=lambda here: own.get(id(here), 0.0))
    if own.get(id(worst), 0.0) <= 0:
        return
    here: PlanNode | None = worst
    while here is not None:
        here["costly"] = True
        here = parents.get(id(here))


def findings_of(root: PlanNode) -> list[str]:
    """What was found at any step, with the step in front, the costly ones first, nothing twice."""
    found = [
        f"{here['what']}{' on ' + here['on'] if here['on'] else ''}: {text}"
        for here in sorted(walk(root), key=lambda here: not here["costly"])
        for text in here["findings"]
    ]
    return list(dict.fromkeys(found))


def tables_of(root: PlanNode) -> list[str]:
    """What steps are on, in order, nothing twice."""
    return list(dict.fromkeys(here["on"] for here in walk(root) if here["on"]))
