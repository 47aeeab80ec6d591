"""Watches whether this process leaks, and says what: always, at less than 0.1 % of a core.

Every `EVERY_S` it reads what the process holds, and after each full collection, when memory is at its floor. Only when
the floor has risen for ten minutes does it look at objects; when it has risen throughout for an hour it names what
grows, as a report of kind ``leak`` and an event. Each look waits until the time since the last one has made it cheap.
"""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from pitstop.model.tuned import LEAK_REPORT, LeakBody
from pitstop.record.reports import Report, add_reporter, remove_reporter, report, tell
from pitstop.tune.memory.course import LIMIT_BYTES_PER_MIN, SLOT_S, Course
from pitstop.tune.memory.ledger import grown_lines
from pitstop.tune.memory.naming import Growth, Look, look, name_growth
from pitstop.tune.memory.readings import held
from pitstop.tune.memory.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVERY_S: Final = 5.0
BUDGET_RATIO: Final = 0.001  # of a core: performance.md
LOOK_SLOTS: Final = 10  # between looks; three or more of them have to agree
MOST_LOOKS: Final = 8
FORGET_SLOTS: Final = 15  # without growth, and a finding is over
AGAIN_S: Final = 3600.0  # the same is told again after this time
_watches: weakref.WeakSet[LeakWatch] = weakref.WeakSet()


class Finding(NamedTuple):
    """What grows, for how long, and when it was last seen to, by the watch's clock."""

    growth: Growth
    bytes_per_min: float
    since_s: float
    seen_s: float

    def body(self, *, sure: bool = True) -> LeakBody:
        """As a report; no more `sure` when it has stopped to grow."""
        return LeakBody(
            what=self.growth.what,
            why=self.growth.why if sure else f"it grows no more; before that {self.growth.why}",
            bytes_per_min=self.bytes_per_min,
            count_per_min=self.growth.count_per_min,
            since_s=self.since_s,
            line=self.growth.line,
            sure=sure,
        )


class LeakWatch:
    """One process's. `start` runs it in a thread; a test calls `tick` with a clock of its own.

    `now_s` is its clock, seconds that never step back; `every_s` how often the thread wakes, real seconds.
    `lines` finds the code that takes memory no Python object shows; see `pitstop.tune.memory.ledger`.
    """

    def __init__(
        self,
        *,
        now_s: Callable[[], float] = time.monotonic,
        every_s: float = EVERY_S,
        slot_s: float = SLOT_S,
        limit_bytes_per_min: float = LIMIT_BYTES_PER_MIN,
        lines: Callable[[], tuple[str, str]] = grown_lines,
    ) -> None:
        self.now_s = now_s
        self.course = Course(slot_s=slot_s, limit_bytes_per_min=limit_bytes_per_min)
        self.findings: dict[str, Finding] = {}
        self.cpu_s = 0.0  # of everything it has done
        self._lines = lines
        self._looks: list[Look] = []
        self._next_look_s = self._next_lines_s = 0.0
        self._told: dict[str, float] = {}
        self._floor_s = float("-inf")
        self._reading = threading.Lock()
        self._rounds = Rounds(every_s, self.tick)
        _watches.add(self)

    def start(self) -> None:
        """Watch from now on, in a thread, across forks. Nothing where the system does not tell (no ``/proc``)."""
        if held() is None:
            return
        gc.callbacks.append(self._collected)
        add_reporter(self.reports)
        self._rounds.start()

    def stop(self) -> None:
        """Watch no more."""
        self._rounds.stop()
        remove_reporter(self.reports)
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def tick(self) -> None:
        """One round: read, judge when a slot is over, look when it grows, name when it leaks."""
        began_s = time.thread_time()
        try:
            if self._read():
                self._judge()
        finally:
            self.cpu_s += time.thread_time() - began_s

    def reset_after_fork(self) -> None:
        """A reading that was going on is the parent's."""
        self._reading = threading.Lock()

    def reports(self) -> Iterable[Report]:
        """What leaks, for the store."""
        return [Report(LEAK_REPORT, what, finding.body()) for what, finding in list(self.findings.items())]

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        """After a full collection memory is at its floor; not more than once a second, within the host's thread."""
        if phase != "stop" or info["generation"] != 2 or time.monotonic() - self._floor_s < 1.0:  # noqa: PLR2004
            return
        self._floor_s = time.monotonic()
        if self._reading.acquire(blocking=False):  # it may run within `_read` itself
            try:
                now = held()
                if now is not None:
                    self.course.note(self.now_s(), now)
            finally:
                self._reading.release()

    def _read(self) -> bool:
        with self._reading:
            now = held()
            return now is not None and self.course.add(self.now_s(), now)

    def _judge(self) -> None:
        now_s, slot_s = self.now_s(), self.course.slot_s
        verdict = self.course.judge()
        for what, finding in list(self.findings.items()):
            if now_s - finding.seen_s > FORGET_SLOTS * slot_s:
                del self.findings[what]
                report(LEAK_REPORT, what, finding.body(sure=False))
        if not verdict.grows:
            if not self.findings:
                self._looks.clear()
            return
        if now_s < self._next_look_s:
            return
        self._looks.append(look(now_s))
        if len(self._looks) > MOST_LOOKS:
            del self._looks[1]  # the first stays: growth is measured from there
        self._next_look_s = now_s + max(LOOK_SLOTS * slot_s, self._looks[-1].cpu_s / BUDGET_RATIO)
        if verdict.sure and len(self._looks) > 2:  # noqa: PLR2004
            self._name(verdict.bytes_per_min, verdict.since_s, now_s)

    def _name(self, bytes_per_min: float, since_s: float, now_s: float) -> None:
        growth = name_growth(self._looks, bytes_per_min)
        if growth.filling:
            return
        known = self.findings.get(growth.what)
        if known is not None:
            growth = growth._replace(line=growth.line or known.growth.line, why=known.growth.why)
        self.findings[growth.what] = Finding(growth, bytes_per_min, since_s, now_s)
        if known is None and not growth.found and now_s >= self._next_lines_s:
            self._next_lines_s = now_s + AGAIN_S
            line, why = self._lines()  # takes a while
            growth = growth._replace(line=line, why=why or growth.why)
            self.findings[growth.what] = Finding(growth, bytes_per_min, since_s, self.now_s())
        report(LEAK_REPORT, growth.what, self.findings[growth.what].body())
        if now_s - self._told.get(growth.what, float("-inf")) >= AGAIN_S:
            self._told[growth.what] = now_s
            at = f" at {growth.line}" if growth.line else ""
            tell("leak", f"{growth.what}{at} grows by {bytes_per_min / 1e6:.3g} MB a minute: {growth.why}")


def _after_fork() -> None:
    for each in list(_watches):
        each.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
