"""Where finished operations wait for the flusher: bounded, without locks, and never a reason for the host to fail."""

from __future__ import annotations

import itertools
from _thread import allocate_lock
from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from pitstop.record.operation import Operation, set_current

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from pitstop.model.record import ChildFields, Fields

CAPACITY = 4096  # records and what ended below them; at about 200 B each this is 0.8 MB
NUDGE_MASK = 2047  # the flusher is woken early each time this many more wait; waking it costs as much as 50 requests
MOST_CHILDREN = 256  # a root that runs on hands over what has finished below it in pieces of this size
LONG_NS = 50_000_000  # a shorter root without anything below it is not asked for its caller's headers
FORGOTTEN_NS = 60_000_000_000  # what begins so long after its root has ended is not taken for its work any more
NAMES = 1000  # gauges and counters a process may name


class _Nothing(list["ChildFields"]):
    """The children of a root that keeps none."""

    def append(self, _: ChildFields, /) -> None:
        """Forget it."""


_NOTHING = _Nothing()

NOBODY = Operation("", 0)
"""Current while a library works for itself: what it does then is nobody's request, and forgotten."""
NOBODY.children = _NOTHING
NOBODY.weight = 0


class Drained(NamedTuple):
    """What waited: records in about the order of their ends, counts as (name, amount), gauges, and losses."""

    records: list[Fields]
    counts: list[tuple[str, float]]
    gauges: dict[str, float]
    dropped: int


class Recorder:
    """Collects finished operations of one process. Off until `on` is set; every method may be called from any thread.

    `sample_rate` is the share of roots that are recorded. The one recorded stands for itself and those left out since
    the last (`weight`), so totals stay right: gaps are geometric and independent of what is kept, hence so are weights.

    `capacity` bounds roots, and roots together with what ended below them: when there is no room for that, the root
    goes without it, and what is dropped is counted. `inside` is how many children wait, give or take a few: threads
    that add at the same time may count once.
    """

    def __init__(self, *, capacity: int = CAPACITY, recent: int = 1000, rng: random.Random | None = None) -> None:
        self.on = False
        self.sample_rate = 1.0
        self.spans_on = True
        self.shedding = False
        self.pressed = False  # memory is short: stacks are not sampled
        self.capacity = capacity
        self.slow_query_s = 1.0  # the setting of that name, for whoever looks at statements
        self.buffer: list[Fields] = []
        self.inside = 0
        self.recent: deque[Fields] = deque(maxlen=recent)
        self.nudge: Callable[[bool], None] | None = None  # called with True when the buffer is filling up
        self.flush: Callable[[float], bool] | None = None  # for integrations that see the server shut down
        self.event: Callable[[str, str], None] | None = None  # notes that something has happened: kind, text
        self._rng = rng
        self._counts: list[tuple[str, float]] = []
        self._gauges: dict[str, float] = {}
        self._left_out = itertools.count()
        self._left_out_reads = 0
        self._drops = itertools.count()
        self._drop_reads = 0
        self._cutting = allocate_lock()

    def keep_recent(self, operations: int) -> None:
        """Keep that many of the last finished operations in memory."""
        self.recent = deque(self.recent, maxlen=operations)

    def shed(self, *, spans_on: bool, sample_rate: float) -> None:
        """Record that share of roots from now on, and what is below them or not."""
        self.spans_on = spans_on
        self.sample_rate = sample_rate
        self.shedding = not spans_on or sample_rate < 1.0

    def begin(self, kind: str) -> Operation | None:
        """A new root that starts now, or None when recording is off. One that sampling leaves out has weight 0."""
        if not self.on:
            return None
        operation = Operation(kind, perf_counter_ns())
        if self.shedding:
            self.admit(operation)
        return operation

    def admit(self, root: Operation) -> None:
        """Decide how many roots `root` stands for, 0 when it is left out, and whether it keeps what is below it."""
        if self.sample_rate < 1.0:
            root.weight = self._draw_weight()
        if not self.spans_on or not root.weight:
            root.children = _NOTHING

    def _draw_weight(self) -> int:
        if self._rng is None:
            import random  # noqa: PLC0415  most services record every request

            self._rng = random.Random()  # noqa: S311  sampling needs no secrecy
        if self._rng.random() >= self.sample_rate:
            next(self._left_out)
            return 0
        self._left_out_reads, before = (now := next(self._left_out)) + 1, self._left_out_reads
        return now - before + 1

    def finish(self, root: Operation, end_ns: int) -> None:
        """Hand over a root that ended at `end_ns`; dropped and counted when the buffer is full."""
        root.end_ns = end_ns
        weight = root.weight
        if not weight:
            return
        children, outcome, failure = root.children, root.outcome, root.failure
        if children:
            self.inside = inside = self.inside + len(children)
            if inside > NUDGE_MASK:
                children = self._make_room(children)
        else:
            children = None
        telling = children or failure or outcome >= "5" or end_ns - root.start_ns >= LONG_NS
        record = (
            root.tenant, root.kind, root.name, "", outcome,
            root.start_ns, end_ns, root.nbytes, weight, children, root.attrs, root.caller if telling else None, failure,
        )  # fmt: skip
        buffer = self.buffer
        waiting = len(buffer)
        if waiting & NUDGE_MASK and waiting < self.capacity:
            buffer.append(record)
        else:
            self._hand_over(record)

    def _make_room(self, children: list[ChildFields]) -> list[ChildFields] | None:
        """Wake the flusher, which is behind; `children` if there is room for them."""
        if self.nudge is not None:
            self.nudge(True)
        if self.inside + len(self.buffer) <= self.capacity * 3 // 4:  # a child takes half as much again as a root
            return children
        self.inside -= len(children)
        for _ in children:
            next(self._drops)
        return None

    def _hand_over(self, record: Fields) -> None:
        buffer = self.buffer
        waiting = len(buffer)
        if waiting < self.capacity:
            buffer.append(record)
        else:
            next(self._drops)
        if not waiting & NUDGE_MASK and self.nudge is not None:
            self.nudge(waiting > 0)

    def finish_child(self, child: Operation) -> None:
        """File what ended below a root.

        The first one makes the list; a root that runs on hands it over in pieces; what ends when its root is over is
        filed by itself, and what only began then belongs to the work that goes on after the root.
        """
        root = child.root
        assert root is not None
        if root.end_ns:
            if child.start_ns - root.end_ns > FORGOTTEN_NS:
                self._on_its_own(child)
                return
            self.finish_alone(child, root.left_behind() if child.start_ns >= root.end_ns else root)
            return
        ended = (
            child.kind,
            child.name,
            child.outcome,
            child.start_ns,
            child.end_ns,
            child.nbytes,
            child.attrs,
            child.parent.start_ns if child.parent is not None else 0,
        )
        children = root.children
        if children is None:
            root.children = [ended]
        elif len(children) < MOST_CHILDREN:
            children.append(ended)
        else:
            self._cut(root, children, ended)

    def _cut(self, root: Operation, children: list[ChildFields], ended: ChildFields) -> None:
        """Hand over what a root that runs on has, and begin anew with `ended`."""
        with self._cutting:  # once in `MOST_CHILDREN`; two threads must not hand over the same
            if root.children is not children:
                children = root.children = root.children or []
                children.append(ended)
                return
            if not root.name:  # a root whose route is not known yet holds what it has
                next(self._drops)
                return
            root.children = [ended]
        self.inside += len(children)
        if self.inside > NUDGE_MASK and self._make_room(children) is None:
            return
        self._hand_over(
            (
                root.tenant, "", root.name, "", "",
                root.start_ns, ended[4], 0, root.weight, children, None, None, None,
            )
        )  # fmt: skip

    def _on_its_own(self, child: Operation) -> None:
        """A thread that a request once started lives on: what it does now is no request's."""
        set_current(None)
        child.root = child.parent = child.children = None
        self.admit(child)
        self.finish(child, child.end_ns)

    def finish_alone(self, child: Operation, root: Operation) -> None:
        """File `child` by itself under `root`, now, and not when the root ends."""
        if root.weight and self.spans_on:
            self._hand_over(
                (
                    root.tenant, child.kind, child.name, root.name, child.outcome,
                    child.start_ns, child.end_ns, child.nbytes, root.weight, None, child.attrs, None, None,
                )
            )  # fmt: skip

    def count(self, name: str, amount: float) -> None:
        """Add `amount` to the counter `name`."""
        if len(self._counts) < self.capacity:
            self._counts.append((name, amount))
        else:
            next(self._drops)
        if len(self._counts) == 1 and self.nudge is not None:
            self.nudge(False)

    def gauge(self, name: str, value: float) -> None:
        """Set the gauge `name`; the last value of each second is kept."""
        gauges = self._gauges
        if name in gauges or len(gauges) < NAMES:
            gauges[name] = value
        else:
            next(self._drops)
        if len(gauges) == 1 and self.nudge is not None:
            self.nudge(False)

    def drain(self) -> Drained:
        """Take what waits. For one reader at a time.

        The list is cut, never swapped: a thread that already holds the old list would lose its append.
        """
        buffer, counts = self.buffer, self._counts
        n = len(buffer)
        records = buffer[:n]
        del buffer[:n]
        self.inside = 0
        for record in records[-(self.recent.maxlen or len(records)) :] if self.recent.maxlen else ():
            self.recent.append((*record[:9], None, *record[10:]) if record[9] else record)
        n = len(counts)
        taken = counts[:n]
        del counts[:n]
        self._drop_reads, before = (now := next(self._drops)) + 1, self._drop_reads
        return Drained(records, taken, dict(self._gauges), now - before)

    def reset_after_fork(self) -> None:
        """Forget in a child what the parent has recorded and will write itself."""
        self.buffer = []
        self.inside = 0
        self._counts = []
        self._gauges = {}
        self.recent.clear()
        self._left_out = itertools.count()
        self._left_out_reads = 0
        self._drops = itertools.count()
        self._drop_reads = 0
        self._cutting = allocate_lock()
        self._rng = None  # a child must not repeat its siblings' draws


RECORDER = Recorder()
"""The process's recorder, which `pitstop.init` switches on."""
