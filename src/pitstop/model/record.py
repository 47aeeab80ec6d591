"""What is kept of a finished operation until it is folded: a plain tuple, a third the size of the operation itself.

The operation is given back to the allocator when it ends and the next request reuses its memory, which is warm. These
classes name the fields; the hot path writes bare tuples in this order, because a named tuple takes five times as long
to make, and `Record._make` puts the names back where they are wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pitstop.model.trace import Failure

    Attrs = Mapping[str, object] | None
    ChildFields = tuple[str, str, str, int, int, int, Attrs, int]
    Caller = tuple[str | None, bytes | None]  # the trace id, where it is known already, and the caller's traceparent
    Fields = tuple[
        str, str, str, str, str, int, int, int, int, Sequence[ChildFields] | None, Attrs, Caller | None, Failure | None
    ]


class Child(NamedTuple):
    """What ended below a root; tenant and weight are its root's, its parent in the series is its root's name.

    `parent_ns` is the `start_ns` of the operation it ran in, which serves as its id; the root's own, or 0, for what
    ran directly in the root.
    """

    kind: str
    name: str
    outcome: str
    start_ns: int
    end_ns: int
    nbytes: int
    attrs: Attrs
    parent_ns: int = 0

    @property
    def duration_ns(self) -> int:
        """How long it took, ns."""
        return self.end_ns - self.start_ns


class Record(NamedTuple):
    """A finished root, with what ended below it. It stands for `weight` of its like.

    The first five are its series. Times are monotonic, ns. Kind "" only carries children of a root that runs on.
    `parent` is set where something ended after its root and is filed by itself. `caller` is what is known of the trace
    that it belongs to, `failure` the exception that it did not survive.
    """

    tenant: str
    kind: str
    name: str
    parent: str
    outcome: str
    start_ns: int
    end_ns: int
    nbytes: int
    weight: int
    children: Sequence[Child] | None
    attrs: Attrs
    caller: Caller | None = None
    failure: Failure | None = None

    @property
    def duration_ns(self) -> int:
        """How long it took, ns."""
        return self.end_ns - self.start_ns


def named(records: Iterable[Fields]) -> list[Record]:
    """`records` with their names back, and their children's."""
    made = map(Record._make, records)
    return [
        record._replace(children=record.children and [Child(*child) for child in record.children]) for record in made
    ]


END_NS = Record._fields.index("end_ns")
