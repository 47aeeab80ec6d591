"""What runs when: a pure state machine. It has no clock, thread or loop of its own; whoever drives it says what ended.

A task is ready when all it needs has ended with a result. Of those that are ready the one with the longest way behind
it starts first (Hu 1961), and no slot is free while one is ready, so that a run takes less than twice the shortest
there could be (Graham 1969). A slot is free again when a task has ended, or nobody waits for it any more.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pitstop.tune.waves.task import CANCEL, CONTAIN

if TYPE_CHECKING:
    import random

    from pitstop.tune.waves.graph import Graph
    from pitstop.tune.waves.task import OnFailure

Outcome = Literal["ok", "failed", "timeout", "skipped", "cancelled"]
OK: Final = "ok"
FAILED: Final = "failed"
TIMEOUT: Final = "timeout"
SKIPPED: Final = "skipped"
CANCELLED: Final = "cancelled"

GRACE_NS = 1_000_000_000  # what is cancelled may clean up so long before it is left to itself
LONGEST_DELAY_S = 30.0  # before a retry

_WAITING, _READY, _RUNNING, _ENDING, _SETTLED = range(5)


class Ended(NamedTuple):
    """An attempt is over; monotonic ns."""

    place: int
    attempt: int
    value: object
    error: BaseException | None
    start_ns: int
    end_ns: int


class Order(NamedTuple):
    """To whoever drives: start this attempt of a task, or cancel it."""

    place: int
    attempt: int
    cancels: bool


class Course:
    """What became of one task. `because` is the place of the task whose failure it did not outlive, or −1."""

    __slots__ = (
        "abandoned", "attempt", "because", "doing", "end_ns", "error", "outcome", "ready_ns", "start_ns", "timer",
        "value", "waits_for", "why",
    )  # fmt: skip

    def __init__(self, waits_for: int) -> None:
        self.doing = _WAITING
        self.waits_for = waits_for
        self.attempt = 0
        self.timer = 0  # the last one set: it is the only one that counts
        self.ready_ns = self.start_ns = self.end_ns = 0
        self.outcome: Outcome = CANCELLED
        self.why: Outcome = CANCELLED  # what the outcome will be when what is cancelled has ended
        self.value: object = None
        self.error: BaseException | None = None
        self.because = -1
        self.abandoned = False


class Schedule:
    """The state of one run. For one thread. `deadline_ns` is of the whole; all moments are monotonic ns."""

    def __init__(
        self,
        graph: Graph,
        now_ns: int,
        *,
        max_parallel: int,
        on_failure: OnFailure,
        by_wave: bool = False,
        deadline_ns: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.graph = graph
        self.courses = [Course(len(needs)) for needs in graph.needs]
        self.left = len(graph)
        self.fatal: BaseException | None = None
        self._slots = max_parallel
        self._on_failure = on_failure
        self._deadline_ns = deadline_ns
        self._rng = rng
        self._ready: list[tuple[int, int]] = []  # a heap: −height, place
        self._timers: list[tuple[int, int, int]] = []  # a heap: moment, place, which timer of its
        self._orders: list[Order] = []
        self._stopping = False
        self._wave = 1 if by_wave else max(graph.waves, default=1)
        self._held: dict[int, list[int]] = {}
        self._in_wave: dict[int, int] = {}
        for wave in graph.waves if by_wave else ():
            self._in_wave[wave] = self._in_wave.get(wave, 0) + 1
        for place, course in enumerate(self.courses):
            if not course.waits_for:
                self._make_ready(place, now_ns)

    @property
    def finished(self) -> bool:
        """Whether every task has its outcome."""
        return not self.left

    def orders(self, now_ns: int) -> list[Order]:
        """What is to be done now, each once. Deadlines that have passed are taken into account."""
        self._expire(now_ns)
        ready, courses = self._ready, self.courses
        while ready and self._slots and not self._stopping:
            place = heapq.heappop(ready)[1]
            course = courses[place]
            course.doing = _RUNNING
            course.attempt += 1
            course.start_ns = course.start_ns or now_ns
            self._slots -= 1
            timeout_s = self.graph.tasks[place].timeout_s
            if timeout_s is not None:
                self._set_timer(place, now_ns + round(timeout_s * 1e9))
            self._orders.append(Order(place, course.attempt, cancels=False))
        orders, self._orders = self._orders, []
        return orders

    def wake_ns(self) -> int | None:
        """When `orders` has to be asked again, even where nothing ends until then."""
        timers = self._timers
        while timers and not self._counts(timers[0][1], timers[0][2]):
            heapq.heappop(timers)
        deadline_ns = None if self._stopping else self._deadline_ns
        if not timers:
            return deadline_ns
        return timers[0][0] if deadline_ns is None else min(timers[0][0], deadline_ns)

    def inputs(self, place: int) -> dict[str, object]:
        """Arguments of a task that is started."""
        return {name: self.courses[need].value for name, need in self.graph.inputs[place]}

    def ending(self, place: int) -> str:
        """Why a task is being cancelled; "" where it is not."""
        course = self.courses[place]
        return course.why if course.doing == _ENDING else ""

    def take(self, ended: Ended, now_ns: int) -> None:
        """An attempt has ended. One that nobody waits for any more is thrown away."""
        place, attempt, value, error, start_ns, end_ns = ended
        course = self.courses[place]
        if course.attempt != attempt or course.doing not in (_RUNNING, _ENDING):
            return
        if attempt == 1:
            course.start_ns = start_ns  # it may have waited for a thread
        course.end_ns = end_ns
        if course.doing == _ENDING:
            self._over(place, course.why, course.error or error, now_ns)
        elif error is None:
            course.value = value
            self._over(place, OK, None, now_ns)
        else:
            if self.fatal is None and isinstance(error, (KeyboardInterrupt, SystemExit)):
                self.fatal = error
            self._over(place, FAILED, error, now_ns)
            if self.fatal is not None:
                self.stop(CANCELLED, now_ns)

    def abandon(self, place: int, attempt: int, now_ns: int, *, begun: bool) -> None:
        """What was to be cancelled cannot be: it is left to itself (`begun`), or will never begin."""
        course = self.courses[place]
        if course.attempt == attempt and course.doing == _ENDING:
            if begun:
                course.abandoned = True
            elif attempt == 1:
                course.start_ns = now_ns
            course.end_ns = now_ns
            self._over(place, course.why, course.error, now_ns)

    def stop(self, why: Outcome, now_ns: int, because: int = -1) -> None:
        """Start nothing more and cancel what runs; what runs ends as `why`, what never began as cancelled."""
        self._stopping = True
        for place, course in enumerate(self.courses):
            if course.doing == _RUNNING:
                self._cancel(place, why, now_ns)
                course.because = because
                if why == TIMEOUT:
                    course.error = TimeoutError("the tasks took longer than their timeout_s together")
            elif course.doing in (_WAITING, _READY):
                course.because = because
                self._settle(place, course.why)

    def _expire(self, now_ns: int) -> None:
        if self._deadline_ns is not None and now_ns >= self._deadline_ns and not self._stopping:
            self.stop(TIMEOUT, now_ns)
        timers = self._timers
        while timers and timers[0][0] <= now_ns:
            _, place, timer = heapq.heappop(timers)
            course = self.courses[place]
            if not self._counts(place, timer):
                continue
            if course.doing == _RUNNING:
                self._cancel(place, TIMEOUT, now_ns)
                timeout_s = self.graph.tasks[place].timeout_s
                course.error = TimeoutError(f"task '{self.graph.tasks[place].name}' took longer than {timeout_s:g} s")
            elif course.doing == _ENDING:
                self.abandon(place, course.attempt, now_ns, begun=True)
            else:  # it waits for its retry
                self._make_ready(place, now_ns)

    def _set_timer(self, place: int, moment_ns: int) -> None:
        course = self.courses[place]
        course.timer += 1
        heapq.heappush(self._timers, (moment_ns, place, course.timer))

    def _counts(self, place: int, timer: int) -> bool:
        """Whether that timer still means anything: it is the last of a task that waits for a retry, runs or ends."""
        course = self.courses[place]
        return course.timer == timer and course.doing in (_WAITING, _RUNNING, _ENDING)

    def _cancel(self, place: int, why: Outcome, now_ns: int) -> None:
        course = self.courses[place]
        course.doing, course.why = _ENDING, why
        self._set_timer(place, now_ns + GRACE_NS)
        self._orders.append(Order(place, course.attempt, cancels=True))

    def _over(self, place: int, outcome: Outcome, error: BaseException | None, now_ns: int) -> None:
        """An attempt is over: settle the task, or let it be tried again."""
        self._slots += 1
        course, task = self.courses[place], self.graph.tasks[place]
        course.error = error
        if (
            outcome in (FAILED, TIMEOUT)
            and not self._stopping
            and course.attempt <= task.retries
            and isinstance(error, task.retry_on)
        ):
            course.doing, course.why = _WAITING, outcome
            delay_s = min(LONGEST_DELAY_S, task.retry_delay_s * 2 ** (course.attempt - 1))
            if self._rng is not None:
                delay_s *= self._rng.uniform(0.5, 1.5)
            self._set_timer(place, now_ns + round(delay_s * 1e9))
            return
        self._end(place, outcome, now_ns)

    def _end(self, place: int, outcome: Outcome, now_ns: int) -> None:
        """Give a task its outcome, and what it means to its dependents, and theirs."""
        todo = [(place, outcome)]
        while todo:
            place, outcome = todo.pop()
            course = self.courses[place]
            if course.doing == _SETTLED:
                continue
            policy = self._settle(place, outcome)
            if self._stopping:
                continue
            if outcome == OK or policy == CONTAIN:
                self._serve(place, now_ns)
            elif policy == CANCEL:
                self.stop(CANCELLED, now_ns, place)
            else:
                for dependent in self.graph.dependents[place]:
                    below = self.courses[dependent]
                    if below.doing == _WAITING:
                        below.because = place if course.because < 0 else course.because
                        todo.append((dependent, SKIPPED))
            self._next_wave(now_ns)

    def _serve(self, place: int, now_ns: int) -> None:
        """A task has a value: those that wait for nothing else are ready."""
        for dependent in self.graph.dependents[place]:
            below = self.courses[dependent]
            below.waits_for -= 1
            if not below.waits_for and below.doing == _WAITING:
                self._make_ready(dependent, now_ns)

    def _settle(self, place: int, outcome: Outcome) -> OnFailure:
        """Write the outcome down; what it means where it is none."""
        course, task = self.courses[place], self.graph.tasks[place]
        policy = task.on_failure or self._on_failure
        if outcome != OK:
            course.value = task.default if policy == CONTAIN else None
        course.doing, course.outcome = _SETTLED, outcome
        self.left -= 1
        if self._in_wave:
            self._in_wave[self.graph.waves[place]] -= 1
        return policy

    def _make_ready(self, place: int, now_ns: int) -> None:
        course, wave = self.courses[place], self.graph.waves[place]
        course.ready_ns = course.ready_ns or now_ns
        if wave > self._wave:
            self._held.setdefault(wave, []).append(place)
            return
        course.doing = _READY
        heapq.heappush(self._ready, (-self.graph.heights[place], place))

    def _next_wave(self, now_ns: int) -> None:
        """Where rounds are kept: let the next one begin when everything of this one has ended."""
        while self._in_wave and not self._in_wave.get(self._wave, 1):
            self._wave += 1
            for place in self._held.pop(self._wave, ()):
                if self.courses[place].doing == _WAITING:
                    self._make_ready(place, now_ns)
