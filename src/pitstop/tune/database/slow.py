"""Plans of statements that were slow: taken afterwards in a thread of its own, and reported without values.

Once an hour for a statement's pattern, at most `PLANS_PER_MINUTE`, on a connection of its own, by EXPLAIN: nothing is
run again. Parameters are kept until then in memory only; the report has the pattern and conditions without literals.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from pitstop.model.errors import PitstopError
from pitstop.model.tuned import PLAN_REPORT, PlanBody
from pitstop.record.operation import get_current, set_current
from pitstop.record.recorder import NOBODY, RECORDER
from pitstop.record.reports import MOST_BYTES, report
from pitstop.record.statements import fingerprint, statements
from pitstop.rollup.native import allocate_lock, start_thread
from pitstop.tune.database.explain import ask
from pitstop.tune.database.plan import PlanNode, node, walk
from pitstop.tune.database.question import of_driver
from pitstop.tune.database.statement import dialect_of, read_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from pitstop.rollup.native import Lock

AGAIN_S = 3600.0  # a pattern's plan is taken once in this time
PLANS_PER_MINUTE = 10
MOST_WAITING = 32
MOST_PATTERNS = 2000
TIMEOUT_S = 5.0  # of taking one plan
_DONE_S = 10.0  # the thread ends when nothing came for so long
_LARGEST_PARAMETERS = 1000
_STEP_BYTES = 300  # of a step as JSON, without its texts
_DEEPEST = 100
_MOST_FINDINGS = 20


class Slow(NamedTuple):
    """A statement as the driver was given it, and how long it took."""

    text: str
    params: Any
    pattern: str
    duration_s: float
    route: str


class SlowStatements:
    """The slow statements of one engine. `connect` makes an engine without a pool of the same database.

    `offer` is called by the host's threads and costs a lookup where the pattern is known; it never raises.
    """

    def __init__(
        self,
        dialect: str,
        connect: Callable[[], Engine | AsyncEngine],
        *,
        threshold_s: float | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._dialect = dialect_of(dialect)
        self._connect = connect
        self.threshold_s = threshold_s
        self._now = now
        self._waiting: deque[Slow] = deque()
        self._taken_s: dict[str, float] = {}
        self._recent_s: deque[float] = deque(maxlen=PLANS_PER_MINUTE)
        self._reset()
        self.taken = self.refused = 0

    def _reset(self) -> None:
        self._lock: Lock = allocate_lock()  # one that another thread holds at a fork is never free again
        self._running = False
        self._come: Lock = allocate_lock()
        self._come.acquire()

    def reset_after_fork(self) -> None:
        """In a child: the thread is the parent's, and so is what waits."""
        self._waiting.clear()
        self._reset()

    def is_slow(self, duration_s: float) -> bool:
        """Whether what took so long is worth a plan: `threshold_s`, else the setting ``slow_query_s``."""
        threshold_s = self.threshold_s
        return RECORDER.on and duration_s >= (RECORDER.slow_query_s if threshold_s is None else threshold_s)

    def offer(self, text: str, params: Any, duration_s: float) -> None:
        """Take a plan of this statement if it is its turn. The answer is not waited for."""
        pattern = statements(self._dialect)[text]
        if _is_large(params) or not self._is_due(pattern):
            return
        running = get_current()
        route = (running.root or running).name if running is not None and running is not NOBODY else ""
        self._waiting.append(Slow(text, params, pattern, duration_s, route))
        with suppress(RuntimeError):  # no thread can be had; or two have rung the bell at once
            with self._lock:
                if not self._running:
                    start_thread(self._run)
                    self._running = True
            if self._come.locked():
                self._come.release()

    def _is_due(self, pattern: str) -> bool:
        now_s = self._now()
        last_s = self._taken_s.get(pattern)
        if last_s is not None and now_s - last_s < AGAIN_S:
            return False
        recent = self._recent_s
        if len(self._waiting) >= MOST_WAITING or (len(recent) == PLANS_PER_MINUTE and now_s - recent[0] < 60):  # noqa: PLR2004  a minute
            return False
        if len(self._taken_s) >= MOST_PATTERNS:
            self._taken_s.clear()
        self._taken_s[pattern] = now_s
        recent.append(now_s)
        return True

    def _run(self) -> None:
        set_current(NOBODY)  # what we do here is no work of the host's
        while True:
            while self._waiting:
                self.take(self._waiting.popleft())
            if not self._come.acquire(timeout=_DONE_S):
                with self._lock:
                    if not self._waiting:
                        self._running = False
                        return

    def take(self, slow: Slow) -> None:
        """The plan of one statement, reported. What goes wrong costs only the plan."""
        try:
            engine = self._connect()
            if isinstance(engine, AsyncEngine):
                plan = asyncio.run(_plan_async(engine, slow))
            else:
                with engine.connect() as connection:
                    plan = _plan(connection, slow)
        except PitstopError:  # a procedure's call, a statement of a temporary table, a server that has gone
            self.refused += 1
        except Exception:  # noqa: BLE001  nobody waits for it
            self.refused += 1
        else:
            plan["duration_s"] = slow.duration_s
            if slow.route:
                plan["route"] = slow.route
            plan["statement"] = slow.pattern
            self.taken += 1
            report(PLAN_REPORT, fingerprint(slow.pattern), fitting(plan))


def _plan(connection: Connection, slow: Slow) -> PlanBody:
    pattern = read_pattern(slow.text, dialect_of(connection.dialect.name))
    return ask(of_driver(connection, slow.text, slow.params, pattern, TIMEOUT_S), analyze=False)


async def _plan_async(engine: AsyncEngine, slow: Slow) -> PlanBody:
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_plan, slow)
    finally:
        await engine.dispose()


def fitting(plan: PlanBody) -> PlanBody:
    """`plan`, or what fits of one that is too large to be kept: its costly path without conditions."""
    steps = len(list(walk(plan["root"])))
    if len(plan["statement"]) + steps * _STEP_BYTES + sum(_length(here) for here in walk(plan["root"])) < MOST_BYTES:
        return plan
    root: PlanNode | None = None
    for here in [here for here in reversed(list(walk(plan["root"]))) if here["costly"]][-_DEEPEST:]:
        root = PlanNode(**{**here, "detail": "", "inputs": [root] if root is not None else []})
    cut = [f"{steps} steps are too many to be kept: this is the costly path of them"]
    return PlanBody(**{**plan, "root": root or node("Plan"), "findings": [*plan["findings"][:_MOST_FINDINGS], *cut]})


def _length(here: PlanNode) -> int:
    return 2 * (len(here["detail"]) + len(here["on"]) + sum(map(len, here["findings"])))  # they stand in the whole, too


def _is_large(params: Any) -> bool:
    return isinstance(params, (list, tuple, dict)) and len(params) > _LARGEST_PARAMETERS
