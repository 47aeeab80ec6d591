"""What holds an event loop: seen by the profiler when the loop's heartbeat stays away.

A loop beats every 50 ms. Without a beat for more than 100 ms each look at the thread that the loop runs in is a sample
of mode ``blocked``, and when the loop beats again the blockage is told as an event. Whatever holds it for 150 ms is
seen, what holds it for 100 ms most likely; its length is known to within two looks, 40 ms at 50 a second.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from pitstop.record.tally import BLOCKED, LONGEST_S, route_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pitstop.record.operation import Operation
    from pitstop.record.stacks import Stack

BLOCKED_NS = 100_000_000  # without a beat: what a person notices (issue 3); asyncio's own debug mode uses the same
_KNOWS_TASKS = sys.version_info >= (3, 12)  # before, uvloop's tasks do not tell whose they are, nor who waits for them
LATE_NS = 10_000_000  # after it was due a beat is late: what is in flight then waits for the loop
ALL_THE_TIME = 1 << 62
SAME_AGAIN_S = 60.0  # the same line in the same route is told once in this time
MOST_EVENTS = 10  # in that time, of all


class Beat(Protocol):
    """The heartbeat of a loop: `beat_ns` the last one (0: none), `due_ns` the next, `ident` the loop's thread.

    `ran` collects the requests that were seen at work while it was late, in other threads, and when that was last: they
    did not wait for it until then. Who held the loop never did, and has `ALL_THE_TIME`.
    """

    ident: int
    loop: Any
    beat_ns: int
    due_ns: int
    ran: dict[Operation, int]

    def alive(self) -> bool:
        """Whether the loop runs at all."""
        ...


class Sampled(Protocol):
    """A thread as the profiler knows it."""

    stack: Stack | None
    op: Operation | None


class _Blockage:
    """One time that the loop stood: who held it where, and for how long by samples."""

    def __init__(self, beat_ns: int, start_ns: int) -> None:
        self.beat_ns = beat_ns
        self.start_ns = start_ns
        self.end_ns = start_ns
        self.holders: dict[tuple[Operation | None, str], int] = {}


class Watch:
    """Looks after one loop. `look` is for the profiler's thread, `told` for the flusher's."""

    def __init__(self, beat: Beat | None) -> None:
        self._beat = beat
        self._busy_since_ns = 0
        self._seen_beat_ns = 0
        self._blockage: _Blockage | None = None
        self._over: list[tuple[float, Operation | None, str, int]] = []
        self._told: dict[tuple[str, str], list[float]] = {}

    def look(
        self, threads: Mapping[int, Sampled], now_ns: int, elapsed_ns: int
    ) -> Iterable[tuple[Operation | None, str, Stack, int]]:
        """Samples of mode ``blocked`` that this look adds."""
        beat = self._beat
        if beat is None or not beat.beat_ns:
            return ()
        if beat.beat_ns != self._seen_beat_ns:
            self._seen_beat_ns, self._busy_since_ns = beat.beat_ns, 0
        blockage = self._blockage
        if blockage is not None and blockage.beat_ns != beat.beat_ns:
            self._blockage = None
            self._end(blockage, min(beat.beat_ns, blockage.end_ns + elapsed_ns))
        thread = threads.get(beat.ident)
        stack = None if thread is None else thread.stack
        if thread is None or stack is None or stack.waits:
            self._busy_since_ns = 0
            return ()
        self._busy_since_ns = self._busy_since_ns or max(now_ns - elapsed_ns // 2, beat.beat_ns)
        if now_ns < beat.due_ns + LATE_NS:
            return ()
        for other in threads.values() if _KNOWS_TASKS or stack.owner_at >= 0 else ():
            root = other.op and (other.op.root or other.op)
            if root is not None and beat.ran.get(root) != ALL_THE_TIME:
                beat.ran[root] = ALL_THE_TIME if other is thread else now_ns
        if now_ns - beat.beat_ns <= BLOCKED_NS or not beat.alive():
            return ()
        if self._blockage is None:
            self._blockage = _Blockage(beat.beat_ns, self._busy_since_ns)
        return [(thread.op, BLOCKED, stack, self._hold(self._blockage, thread.op, stack.place, now_ns))]

    def _hold(self, blockage: _Blockage, op: Operation | None, place: str, now_ns: int) -> int:
        """Note who holds the loop; for how long since the last look."""
        weight_ns = now_ns - blockage.end_ns
        blockage.end_ns = now_ns
        holder = (op, place)
        blockage.holders[holder] = blockage.holders.get(holder, 0) + weight_ns
        return weight_ns

    def _end(self, blockage: _Blockage, end_ns: int) -> None:
        op, place = max(blockage.holders, key=blockage.holders.__getitem__)
        self._over.append((0.0, op, place, max(end_ns, blockage.end_ns) - blockage.start_ns))

    def told(self, now_s: float, *, final: bool) -> list[str]:
        """A line for each blockage whose route is known by now; of the same line and route one a minute."""
        over, lines = self._over, []
        n = len(over)
        for since_s, op, place, held_ns in over[:n]:
            since_s = since_s or now_s  # noqa: PLW2901
            if op is None or (op.root or op).end_ns or final or now_s - since_s > LONGEST_S:
                lines += self._line(now_s, route_of(op), place, held_ns)
            else:
                over.append((since_s, op, place, held_ns))
        del over[:n]
        return lines

    def _line(self, now_s: float, route: str, place: str, held_ns: int) -> list[str]:
        told = self._told
        recent = {key: row for key, row in told.items() if now_s - row[0] < SAME_AGAIN_S}
        row = told.get((route, place))
        if (route, place) in recent or len(recent) >= MOST_EVENTS:
            if row is not None:
                row[1] += 1
            return []
        more = f", and {int(row[1])} more since the last line" if row is not None and row[1] else ""
        self._told = {**recent, (route, place): [now_s, 0]}
        return [f"{route or 'no request'} held the event loop for {held_ns / 1e6:.0f} ms in {place}{more}"]
