"""Which requests are kept as traces: decided when they are over, in the flusher's thread, never in the request.

Kept are requests that failed, that were slow (as the setting says, or beyond their route's own recent P99), that
repeated a statement or ran a slow one, and one plain sample a route and minute. A budget holds what an outage may
write; what it leaves out is in the weight of the next one kept of the same route and reason, so that weights add up to
all requests.

What is plainly of no interest costs next to nothing: durations are looked at by series, as the fold has grouped them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.series import DB, FUNCTION, HTTP, REPEATED, TASK, WEBSOCKET
from pitstop.model.trace import FAILED, LINE, REASONS, SAMPLE, SLOW, SLOW_QUERY
from pitstop.model.trace import REPEATED as REPEATS
from pitstop.rollup.kept import Kept
from pitstop.rollup.route import Route, Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pitstop.model.columns import Errors, Traces
    from pitstop.model.record import Attrs, Fields
    from pitstop.rollup.fold import Seen

    Wanted = dict[tuple[str, str], Route]  # by tenant and name
    SlowQuery = Callable[[str, str, int, str], None]

TRACED = frozenset({HTTP, WEBSOCKET, TASK, FUNCTION})  # roots of these kinds
SAMPLE_EVERY_S = 60.0
FRESH_S = 10.0  # what was not kept for so long goes before what was
BURST_S = 10.0  # of budget that was not used may be kept at once
MOST_TOLD = 20  # slow statements told of at one look

_FAILED_CONNECTION = "1011"  # RFC 6455: the server met an unexpected condition
_ORDER = {reason: i for i, reason in enumerate(REASONS)}


class Limits(NamedTuple):
    """The settings: from when on something is slow, how many traces a second on average, spans of one at the most."""

    slow_ns: int = 1_000_000_000
    slow_query_ns: int = 1_000_000_000
    traces_per_s: float = 2.0
    trace_spans: int = 1000


class _Candidates(NamedTuple):
    route: Route
    reason: str
    records: list[Fields]


def has_failed(kind: str, outcome: str) -> bool:
    """Whether a root ended as it should not: a server error, an exception. A client that leaves is no failure."""
    if kind == HTTP:
        return outcome >= "5"
    return outcome == (_FAILED_CONNECTION if kind == WEBSOCKET else "error")


class Keeper:
    """Looks at records and keeps the traces and errors that are worth it until `take`. For one thread.

    `slow_query` is told of slow statements, at most `MOST_TOLD` at a look: route, statement, ns, code line.
    """

    def __init__(
        self, service: str, worker: str, limits: Limits | None = None, slow_query: SlowQuery | None = None
    ) -> None:
        self.limits = limits = limits or Limits()
        self._kept = Kept(service, worker, limits.trace_spans)
        self._slow_query = slow_query
        self._routes = Routes(limits.slow_ns)
        self._budget = self._burst = max(1.0, BURST_S * limits.traces_per_s)
        self._filled_s: float | None = None
        self._learning: list[tuple[Route, list[int]]] = []

    def take(self) -> tuple[Traces, Errors]:
        """What was kept since the last call."""
        return self._kept.take()

    def look(self, records: Sequence[Fields], seen: Seen, now_s: float, offset_ns: int) -> None:
        """Keep what is worth it of `records`, of which folding has shown what is `seen`.

        `now_s` is monotonic; `offset_ns` makes Unix time of the records' clock.
        """
        self._kept.errors(seen.failures, offset_ns)
        wanted, slow_statements = self._wanted(seen, now_s)
        if wanted:
            self._look_closer(records, seen, wanted, slow_statements, now_s, offset_ns)
        for route, durations in self._learning:  # last, so that slow is one thing throughout
            route.learn(durations, now_s)
        self._learning.clear()

    def _look_closer(
        self, records: Sequence[Fields], seen: Seen, wanted: Wanted, slow_statements: bool, now_s: float, offset_ns: int
    ) -> None:
        slow = self._slow_statements(records, seen) if slow_statements else set()
        if self.limits.traces_per_s:
            for candidates, n in self._choose(self._candidates(records, wanted, seen, slow), now_s):
                self._keep(candidates, n, seen, offset_ns)

    def _wanted(self, seen: Seen, now_s: float) -> tuple[Wanted, bool]:
        """Routes that have something to keep, and whether a statement was slow; every request waits from here on."""
        wanted: Wanted = {}
        slow_statements = False
        for (tenant, kind, name, parent, outcome), durations in seen.groups.items():
            if kind == DB:
                if max(durations) >= self.limits.slow_query_ns:
                    slow_statements = True
                    wanted[tenant, parent] = self._routes[tenant, parent]
            elif kind == REPEATED:
                wanted[tenant, parent] = self._routes[tenant, parent]
            elif kind in TRACED and not parent:
                route = self._routes[tenant, name]
                if self._count(route, kind, outcome, durations) or now_s >= route.sample_s:
                    wanted[tenant, name] = route
        for record in seen.failures:
            wanted[record[0], record[2]] = self._routes[record[0], record[2]]
        return wanted, slow_statements

    def _count(self, route: Route, kind: str, outcome: str, durations: list[int]) -> bool:
        """Let requests wait; whether some of them are worth more than a sample."""
        if has_failed(kind, outcome):
            route.waiting[FAILED] += len(durations)
            return True
        if kind == WEBSOCKET:
            return False
        slow = 0
        if max(durations) >= route.slow_ns:
            slow = sum(ns >= route.slow_ns for ns in durations)
            route.waiting[SLOW] += slow
        route.waiting[SAMPLE] += len(durations) - slow
        self._learning.append((route, durations))
        return slow > 0

    def _slow_statements(self, records: Sequence[Fields], seen: Seen) -> set[int]:
        """The `id` of every record below which one ran; tells of them."""
        found: set[int] = set()
        least_ns, told = self.limits.slow_query_ns, 0
        for record in records:
            for route, statement, ns, attrs in _statements(record):
                if ns >= least_ns:
                    found.add(id(record))
                    told += 1
                    if self._slow_query is not None and told <= MOST_TOLD:
                        self._slow_query(route, statement, ns, str(attrs.get(LINE, "")) if attrs else "")
        for of, whole in seen.wholes.items():
            if any(child[0] == DB and child[4] - child[3] >= least_ns for child in whole.children):
                found.add(of)
        return found

    def _candidates(self, records: Sequence[Fields], wanted: Wanted, seen: Seen, slow: set[int]) -> list[_Candidates]:
        """What may be kept, by route and reason; each request now waits under the reason that is its own."""
        found: dict[tuple[Route, str], _Candidates] = {}
        names = {name for _, name in wanted}
        for record in records:
            if record[2] not in names or record[1] not in TRACED or record[3]:
                continue
            route = wanted.get((record[0], record[2]))
            reason = "" if route is None else self._reason(record, route, seen, slow)
            if route is not None and reason:
                candidates = found.get((route, reason))
                if candidates is None:
                    found[route, reason] = candidates = _Candidates(route, reason, [])
                candidates.records.append(record)
        return list(found.values())

    def _reason(self, record: Fields, route: Route, seen: Seen, slow: set[int]) -> str:
        """Why `record` would be kept; "" when it would not."""
        kind = record[1]
        counted = reason = SLOW if record[6] - record[5] >= route.slow_ns else SAMPLE
        if has_failed(kind, record[4]):
            return FAILED
        if record[12] is not None:  # it failed after it had answered
            reason = FAILED
        elif kind == WEBSOCKET:
            return ""
        elif reason == SAMPLE and id(record) in seen.repeats:
            reason = REPEATS
        elif reason == SAMPLE and id(record) in slow:
            reason = SLOW_QUERY
        if reason != counted:
            route.waiting[reason] += record[8]
            if kind != WEBSOCKET:
                route.waiting[counted] -= record[8]
        return reason

    def _choose(self, found: list[_Candidates], now_s: float) -> list[tuple[_Candidates, int]]:
        """How many to keep of each: one, as far as the budget goes; several while more than half of it is there."""
        if self._filled_s is not None:
            earned = (now_s - self._filled_s) * self.limits.traces_per_s
            self._budget = min(self._burst, self._budget + earned)
        self._filled_s = now_s
        due = [some for some in found if some.reason != SAMPLE or now_s >= some.route.sample_s]
        due.sort(key=lambda some: _turn(some, now_s))
        chosen = [(some, 1) for some in due[: int(self._budget)]]
        self._budget -= len(chosen)
        for i, (some, _) in enumerate(chosen):
            some.route.kept_s[some.reason] = now_s
            if some.reason == SAMPLE:
                some.route.sample_s = now_s + SAMPLE_EVERY_S
            else:
                more = max(0, min(len(some.records) - 1, int(self._budget - self._burst / 2)))
                self._budget -= more
                chosen[i] = (some, 1 + more)
        return chosen

    def _keep(self, candidates: _Candidates, n: int, seen: Seen, offset_ns: int) -> None:
        """Keep the `n` most telling; the first stands for all that are not there."""
        route, reason, records = candidates
        if reason == FAILED:
            records.sort(key=self._kept.has_error, reverse=True)
        elif reason != SAMPLE:
            records.sort(key=_duration_ns, reverse=True)
        first, *others = records[:n]
        weight = route.waiting.pop(reason) - sum(record[8] for record in others)
        self._kept.trace(first, reason, weight, seen.wholes.get(id(first)), offset_ns)
        for record in others:
            self._kept.trace(record, reason, record[8], seen.wholes.get(id(record)), offset_ns)


def _turn(some: _Candidates, now_s: float) -> tuple[bool, int, float]:
    kept_s = some.route.kept_s.get(some.reason, float("-inf"))
    return now_s - kept_s < FRESH_S, _ORDER[some.reason], kept_s


def _duration_ns(record: Fields) -> int:
    return record[6] - record[5]


def _statements(record: Fields) -> Iterator[tuple[str, str, int, Attrs]]:
    """Route, text, ns and attributes of every statement of a root and below it."""
    if record[1] == DB:
        yield record[3], record[2], record[6] - record[5], record[10]
    for kind, statement, _, start_ns, end_ns, _, attrs, _ in record[9] or ():
        if kind == DB:
            yield record[2], statement, end_ns - start_ns, attrs
