"""Filing what has ended below the running operation and had nothing below itself: a query, a cache read, a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.record.operation import Operation, get_current
from pitstop.record.recorder import MOST_CHILDREN, RECORDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.model.record import ChildFields


def leaf(
    kind: str,
    name: str,
    outcome: str,
    start_ns: int,
    end_ns: int,
    nbytes: int = 0,
    attrs: Mapping[str, object] | None = None,
) -> list[ChildFields] | None:
    """File one operation that ran from `start_ns` to `end_ns` (monotonic) below the one that runs here.

    Without one it is a root of its own. Cheaper than a `Span`, because nothing can run below it: no context variable is
    set. `attrs` is kept as it is; share one mapping between equal calls. Never raises; nothing when recording is off.

    The answer is the list it was added to as the last one, for whoever learns more of it later; None where it was filed
    by itself.
    """
    parent = get_current()
    if parent is not None:
        root = parent.root or parent
        children = root.children
        if children is not None and not root.end_ns and len(children) < MOST_CHILDREN:
            children.append((kind, name, outcome, start_ns, end_ns, nbytes, attrs, parent.start_ns))
            return children
    elif not RECORDER.on:
        return None
    ended = Operation(kind, start_ns)
    ended.name, ended.outcome, ended.nbytes, ended.attrs = name, outcome, nbytes, attrs
    if parent is None:
        RECORDER.admit(ended)
        RECORDER.finish(ended, end_ns)
        return None
    ended.parent, ended.root, ended.end_ns = parent, root, end_ns
    RECORDER.finish_child(ended)
    return None
