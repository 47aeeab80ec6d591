"""Bounded pools of objects that are dear to make, and whether they save anything: most do not.

buffers = ObjectPool("buffers", lambda: bytearray(1 << 20))
with buffers.borrow() as buffer: ...
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from functools import cache
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pitstop.model.errors import SettingError
from pitstop.model.tuned import OBJECTS_REPORT, ObjectsBody
from pitstop.record.reports import Report, add_reporter, remove_reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
SIZE: Final = 32
MEASURED_EVERY: Final = 16  # resets are timed: reading the clock costs as much as the pool itself
TRIES: Final = 200  # to measure the pool itself, once in a process: 0.3 ms
ENOUGH: Final = 100  # objects taken before there is a verdict


class ObjectPool(Generic[T]):
    """At most `size` idle objects, the one used last first (its memory is warm). Any number of threads, no lock.

    `make` makes one, `reset` readies one for the next user and may raise to have it thrown away. Who takes one and
    does not give it back loses nothing but the gain.
    """

    def __init__(
        self, name: str, make: Callable[[], T], *, reset: Callable[[T], object] | None = None, size: int = SIZE
    ) -> None:
        if size < 1:
            raise SettingError(f"size = {size} of the pool '{name}' has to be 1 or more")
        self.name, self.size = name, size
        self.taken = self.made = self.reset_failed = 0
        self._make, self._reset = make, reset
        self._idle: deque[T] = deque(maxlen=size)
        self._make_ns = self._reset_ns = self._reset_timed = self._given = 0
        add_reporter(self.reports)

    def close(self) -> None:
        """Let go of what is idle, and report no more."""
        self._idle.clear()
        remove_reporter(self.reports)

    def take(self) -> T:
        """An idle one, or a new one. Raises what `make` raises."""
        self.taken += 1  # a count lost to another thread now and then does no harm
        try:
            return self._idle.pop()
        except IndexError:
            return self._new()

    def give(self, each: T) -> None:
        """Back for the next; not to be used by the giver any more. Thrown away when enough are idle."""
        reset = self._reset
        if reset is not None:
            self._given += 1
            try:
                if self._given % MEASURED_EVERY:
                    reset(each)
                else:
                    self._timed_reset(reset, each)
            except Exception:  # noqa: BLE001  it cannot be used again
                self.reset_failed += 1
                return
        if len(self._idle) < self.size:
            self._idle.append(each)

    @contextmanager
    def borrow(self) -> Iterator[T]:
        """One for a block; thrown away where the block raises, for nobody knows its state."""
        each = self.take()
        yield each
        self.give(each)

    def shrink(self, _level: object = None) -> None:
        """Let go of what is idle, as under memory pressure."""
        self._idle.clear()

    def _new(self) -> T:
        began_ns = perf_counter_ns()
        each = self._make()
        took_ns = perf_counter_ns() - began_ns
        self._make_ns = min(self._make_ns or took_ns, took_ns)
        self.made += 1
        return each

    def _timed_reset(self, reset: Callable[[T], object], each: T) -> None:
        began_ns = perf_counter_ns()
        reset(each)
        self._reset_ns += perf_counter_ns() - began_ns
        self._reset_timed += 1

    @property
    def make_s(self) -> float:
        """What making one takes at least, s: a mean of few would have what came in between."""
        return max(0.0, self._make_ns / 1e9 - _costs()[1]) if self.made else 0.0

    @property
    def reset_s(self) -> float:
        """What resetting one takes on average, s."""
        return max(0.0, self._reset_ns / self._reset_timed / 1e9 - _costs()[1]) if self._reset_timed else 0.0

    @property
    def saved_s(self) -> float:
        """What was not spent on making, less what resetting and the pool itself took. Below 0: a loss."""
        pool_s, _ = _costs()
        return (self.taken - self.made) * self.make_s - self.taken * (self.reset_s + pool_s)

    @property
    def verdict(self) -> str:
        """Whether it is worth having, in words."""
        if self.taken < ENOUGH:
            return f"too early to say: {self.taken} were taken"
        each_us = 1e6 * self.saved_s / self.taken
        if self.saved_s <= 0:
            return f"a loss of {-each_us:.2g} µs each time: make them anew, without the pool"
        return f"saves {each_us:.2g} µs each time, {self.saved_s:.2g} s so far"

    def reports(self) -> Iterable[Report]:
        """How it stands."""
        body = ObjectsBody(
            size=self.size, idle=len(self._idle), taken=self.taken, made=self.made, make_s=self.make_s,
            reset_s=self.reset_s, saved_s=self.saved_s, verdict=self.verdict,
        )  # fmt: skip
        return [Report(OBJECTS_REPORT, self.name, body)]


@cache
def _costs() -> tuple[float, float]:
    """What taking one from a pool and giving it back costs on this machine, and reading the clock twice, s."""
    pool: ObjectPool[object] = ObjectPool("", object)
    remove_reporter(pool.reports)
    pool_ns = clock_ns = 1 << 62
    for _ in range(5):
        began_ns = perf_counter_ns()
        for _ in range(TRIES):
            pool.give(pool.take())
        pool_ns = min(pool_ns, perf_counter_ns() - began_ns)
        began_ns = perf_counter_ns()
        for _ in range(TRIES):
            perf_counter_ns()
            perf_counter_ns()
        clock_ns = min(clock_ns, perf_counter_ns() - began_ns)
    return pool_ns / TRIES / 1e9, clock_ns / TRIES / 1e9
