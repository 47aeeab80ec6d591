"""Spans come in batches, children first; a trace is looked at when its root has come and nothing follows.

What a service did of one trace becomes a record as our own recorder writes them, so that everything after is the same:
parts, repeated statements, which traces are kept. Bounded in spans; what there is no room for is looked at early.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from pitstop.instrument.otel.meaning import CONSUMER, SERVER, meaning
from pitstop.model import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pitstop.dashboard.ingest.incoming import Incoming, Source
    from pitstop.model.record import ChildFields, Fields

SETTLE_S = 1.0  # after the last span of a trace whose root has come
LONGEST_S = 10.0  # a trace whose root does not come is looked at as it is
MOST_WAITING = 100_000  # spans
MOST_OF_TRACE = 10_000

_BEGIN = (SERVER, CONSUMER)  # kinds that begin a service's part of a trace


class Assembled(NamedTuple):
    """A root's record; `ids` gives the spans' own ids by start, the root's under its start, too."""

    source: Source
    trace_id: str
    record: Fields
    ids: Mapping[int, int]
    attributes: Mapping[str, object]


class _Pending:
    def __init__(self, now_s: float) -> None:
        self.spans: dict[int, Incoming] = {}
        self.first_s = self.last_s = now_s
        self.begun = False


class Assembler:
    """Traces until they are due. For one thread at a time; `now_s` is monotonic."""

    def __init__(self) -> None:
        self._pending: dict[tuple[Source, str], _Pending] = {}
        self._waiting = 0

    def add(self, source: Source, spans: Iterable[Incoming], now_s: float) -> None:
        """Take `spans` of one service; one that is there already counts once."""
        for span in spans:
            key = (source, span.trace_id)
            pending = self._pending.get(key)
            if pending is None:
                self._pending[key] = pending = _Pending(now_s)
            pending.last_s = now_s
            if span.span_id not in pending.spans and len(pending.spans) < MOST_OF_TRACE:
                pending.spans[span.span_id] = span
                pending.begun = pending.begun or span.kind in _BEGIN or not span.parent_id
                self._waiting += 1

    def due(self, now_s: float, *, everything: bool = False) -> Iterator[Assembled]:
        """What is complete, or has waited for long enough."""
        for key, pending in list(self._pending.items()):  # in the order of their first spans
            settled = now_s - pending.last_s >= SETTLE_S if pending.begun else now_s - pending.first_s >= LONGEST_S
            if everything or settled or now_s - pending.first_s >= LONGEST_S or self._waiting > MOST_WAITING:
                del self._pending[key]
                self._waiting -= len(pending.spans)
                yield from _assembled(key[0], pending.spans)


def _assembled(source: Source, spans: dict[int, Incoming]) -> Iterator[Assembled]:
    below: dict[int, list[Incoming]] = {}
    roots = []
    for span in spans.values():
        if span.kind in _BEGIN or span.parent_id not in spans or span.parent_id == span.span_id:
            roots.append(span)
        else:
            below.setdefault(span.parent_id, []).append(span)
    for root in roots:
        yield _record(source, root, below)
    for leftover in [span for group in list(below.values()) for span in group]:  # of circles, which have no root
        if below.pop(leftover.span_id, None) is not None:
            yield _record(source, leftover, {})


def _record(source: Source, root: Incoming, below: dict[int, list[Incoming]]) -> Assembled:
    children: list[ChildFields] = []
    ids = {root.start_ns: root.span_id}
    todo = [(span, root.start_ns) for span in below.pop(root.span_id, ())]
    while todo:
        span, parent_ns = todo.pop()
        start_ns = span.start_ns
        while start_ns in ids:  # clocks of other languages may count in ms
            start_ns += 1
        ids[start_ns] = span.span_id
        kind, name, outcome, nbytes, attrs = _meaning(span, root=False)
        children.append((kind, name, outcome, start_ns, max(start_ns, span.end_ns), nbytes, attrs, parent_ns))
        todo += [(child, start_ns) for child in below.pop(span.span_id, ())]
    kind, name, outcome, nbytes, attrs = _meaning(root, root=True)
    header = f"00-{root.trace_id}-{root.parent_id:016x}-01".encode() if root.parent_id else None
    record: Fields = (
        "", kind, name, "", outcome, root.start_ns, root.end_ns, nbytes, 1, children or None, attrs,
        (root.trace_id, header), _failure(root, name),
    )  # fmt: skip
    return Assembled(source, root.trace_id, record, ids, root.attributes)


def _meaning(span: Incoming, *, root: bool) -> tuple[str, str, str, int, Mapping[str, object] | None]:
    kind, name, outcome, nbytes, attrs = meaning(span.kind, span.name, span.attributes, failed=span.failed, root=root)
    ours = span.attributes.get("pitstop.kind")
    if ours:  # one of us says what it was
        outcome = str(span.attributes.get("pitstop.outcome", outcome))[:100]
        rows = span.attributes.get("pitstop.bytes")
        nbytes = rows if isinstance(rows, int) and 0 <= rows < 1 << 53 else 0
        line = span.attributes.get("pitstop.line")
        attrs = {**(attrs or {}), "line": str(line)[:300]} if line else attrs
        return str(ours)[:40], span.name, outcome, nbytes, attrs
    if span.error:
        attrs = {"error.type": span.error, **(attrs or {})}
    return kind, name, outcome, nbytes, attrs


def _failure(root: Incoming, route: str) -> Failure | None:
    """By type and route: what another language's stack says may hold values, so it is not kept."""
    if not root.failed or not root.error:
        return None
    fingerprint = hashlib.sha256(f"{root.error}\n{route}".encode("utf-8", "replace")).hexdigest()[:16]
    return Failure(fingerprint, root.error, "", "", "")
