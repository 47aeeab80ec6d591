"""Where finished operations wait for the flusher: bounded, without locks, and never a reason for the host to fail."""

from __future__ import annotations

import itertools
from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from pitstop.record.operation import Operation

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

CAPACITY = 4096  # roots; at about 280 B an operation this is 1 MB
NUDGE_MASK = 511  # the flusher is woken early each time this many more wait
CHILDREN_HANDOVER = 256  # a root that runs on hands over what has finished below it in pieces of this size
NAMES = 1000  # gauges and counters a process may name


class Drained(NamedTuple):
    """What waited: operations in about the order of their ends, counts as (name, amount), gauges, and losses."""

    operations: list[Operation]
    counts: list[tuple[str, float]]
    gauges: dict[str, float]
    dropped: int


class Recorder:
    """Collects finished operations of one process. Off until `on` is set; every method may be called from any thread.

    `sample_rate` is the share of roots that are recorded. The one recorded stands for itself and those left out since
    the last (`weight`), so totals stay right: gaps are geometric and independent of what is kept, hence so are weights.
    """

    def __init__(self, *, capacity: int = CAPACITY, recent: int = 1000, rng: random.Random | None = None) -> None:
        self.on = False
        self.sample_rate = 1.0
        self.capacity = capacity
        self.buffer: list[Operation] = []
        self.recent: deque[Operation] = deque(maxlen=recent)
        self.spans_on = True  # the governor sheds what is below a root before it samples roots
        self.nudge: Callable[[bool], None] | None = None  # called with True when the buffer is filling up
        self.flush: Callable[[float], bool] | None = None  # for integrations that see the server shut down
        self._rng = rng
        self._counts: list[tuple[str, float]] = []
        self._gauges: dict[str, float] = {}
        self._left_out = itertools.count()
        self._left_out_reads = 0
        self._drops = itertools.count()
        self._drop_reads = 0

    def keep_recent(self, operations: int) -> None:
        """Keep that many of the last finished operations in memory."""
        self.recent = deque(self.recent, maxlen=operations)

    def begin(self, kind: str) -> Operation | None:
        """A new root that starts now, or None when recording is off. One that sampling leaves out has weight 0."""
        if not self.on:
            return None
        operation = Operation(kind, perf_counter_ns())
        if self.sample_rate < 1.0:
            operation.weight = self.draw_weight()
        return operation

    def draw_weight(self) -> int:
        """How many roots the next one stands for: 0 when it is left out itself."""
        if self._rng is None:
            import random  # noqa: PLC0415  most services record every request

            self._rng = random.Random()  # noqa: S311  sampling needs no secrecy
        if self._rng.random() >= self.sample_rate:
            next(self._left_out)
            return 0
        self._left_out_reads, before = (now := next(self._left_out)) + 1, self._left_out_reads
        return now - before + 1

    def finish(self, operation: Operation, end_ns: int) -> None:
        """Hand over a root that ended at `end_ns`; dropped and counted when the buffer is full."""
        operation.end_ns = end_ns
        if not operation.weight:
            return
        buffer = self.buffer
        waiting = len(buffer)
        if waiting < self.capacity:
            buffer.append(operation)
        else:
            next(self._drops)
        if not waiting & NUDGE_MASK and self.nudge is not None:
            self.nudge(waiting > 0)

    def finish_child(self, operation: Operation, end_ns: int) -> None:
        """File what ended below a root with it, or by itself when the root is over or has handed over already."""
        operation.end_ns = end_ns
        operation.parent = None
        root = operation.root
        assert root is not None
        if not self.spans_on or not root.weight:
            return
        if root.end_ns:
            self.finish(operation, end_ns)
            return
        children = root.children
        if children is None:
            root.children = children = []
        children.append(operation)
        operation.root = None
        if len(children) >= CHILDREN_HANDOVER:
            self._hand_over(root)

    def _hand_over(self, root: Operation) -> None:
        """Pass on what has finished below a root that runs on; its name is what is known of it so far."""
        children = root.children
        if children is None or not root.name:
            if children is not None and len(children) >= 4 * CHILDREN_HANDOVER:
                next(self._drops)
                children.pop()
            return
        root.children = None
        part = Operation("", root.start_ns)
        part.name = root.name
        part.tenant = root.tenant
        part.weight = root.weight
        part.children = children
        self.finish(part, perf_counter_ns())

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
        operations = buffer[:n]
        del buffer[:n]
        self.recent.extend(operations[-(self.recent.maxlen or 0) :])
        n = len(counts)
        taken = counts[:n]
        del counts[:n]
        self._drop_reads, before = (now := next(self._drops)) + 1, self._drop_reads
        return Drained(operations, taken, dict(self._gauges), now - before)

    def reset_after_fork(self) -> None:
        """Forget in a child what the parent has recorded and will write itself."""
        self.buffer = []
        self._counts = []
        self._gauges = {}
        self.recent.clear()
        self._left_out = itertools.count()
        self._left_out_reads = 0
        self._drops = itertools.count()
        self._drop_reads = 0
        self._rng = None  # a child must not repeat its siblings' draws


RECORDER = Recorder()
"""The process's recorder, which `pitstop.init` switches on."""
