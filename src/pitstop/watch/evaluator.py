"""The thread that looks: reads what rules ask at the moments of their grid, and writes down what follows.

Of all processes that run one, whoever holds the ledger's lease does; the others wait for it to end. State, timeline and
messages are one transaction that commits only while the lease is held: after a failover nothing is told twice, and
what was not committed is looked at again by the next.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model import Batch, Events, PitstopError, Samples, StoreError, SystemClock
from pitstop.model.watching import SEVERITIES
from pitstop.watch import journal
from pitstop.watch.conditions import KINDS
from pitstop.watch.gauges import WORKER
from pitstop.watch.groups import TOLD
from pitstop.watch.incidents import Looked
from pitstop.watch.ledger import LeaseLostError
from pitstop.watch.mute import Muting
from pitstop.watch.sight import SETTLED_S, Sight
from pitstop.watch.step import State, Stepped, step

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from pitstop.model import Clock, Store
    from pitstop.model.watching import Incident, Moment, Notification
    from pitstop.watch.groups import Grouping
    from pitstop.watch.ledger import Ledger
    from pitstop.watch.mute import Inhibit, Maintenance
    from pitstop.watch.rules import Rule

TICK_S = 1.0
LEASE_S = 15.0  # a holder that dies is followed within this time
RENEW_S = 5.0
STEP_S = 5.0  # how late a silence ends or a group is told at most, when no rule is due
FORGET_S = 3600.0
CHARTS_S = 2.0  # of one round
MOST_WAITING = 1000  # events that the store has not taken yet
ALERT = "alert"  # kind of the events that charts mark
_STOP_S = 5.0
_log = logging.getLogger("pitstop")


class Plan(NamedTuple):
    """What is watched now."""

    rules: Sequence[Rule] = ()
    inhibits: Sequence[Inhibit] = ()
    maintenances: Sequence[Maintenance] = ()
    grouping: Grouping | None = None


class Checked(NamedTuple):
    """How the last look of a rule went. `value` is the one closest to the limit, or beyond it."""

    at_s: float
    took_s: float
    value: float | None
    limit: float | None
    unit: str
    problem: str


class Evaluator:
    """`tick` is one round, for whoever has a clock of his own; `start` runs one a second in a thread.

    `plan` is asked at every round. `sight` makes the view of one moment. `put` writes a message into the outbox within
    the transaction it is given; `tend` is told each round, with ``holds=``, whether this one evaluates. `illustrate`
    adds the course of the value.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        plan: Callable[[], Plan],
        *,
        sight: Callable[[int, dict[Hashable, object]], Sight] | None = None,
        put: Callable[[sqlite3.Connection, Notification], Sequence[int]] = lambda *_: (),
        tend: Callable[..., object] | None = None,
        illustrate: Callable[[Notification, Mapping[str, Rule]], Notification] | None = None,
        gauges: Callable[[int], Mapping[str, float]] = lambda _: {},
        public_url: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.holder = f"watch:{os.getpid()}:{secrets.token_hex(4)}"
        self.checked: dict[str, Checked] = {}
        self.problem = ""
        self.unmarked = 0  # incidents that charts will not mark: the store did not take so many
        self._store = store
        self._ledger = ledger
        self._plan = plan
        self._sight = sight or (lambda at_s, kept: Sight(store, at_s, kept=kept))
        self._put = put
        self._tend = tend or (lambda **_: None)
        self._illustrate = illustrate or (lambda notification, _: notification)
        self._gauges = gauges
        self._public_url = public_url
        self._clock = clock or SystemClock()
        self._kept: dict[Hashable, object] = {}
        self._looked: dict[str, tuple[Rule, float]] = {}
        self._renewed_s = self._stepped_s = self._forgot_s = float("-inf")
        self._waiting = Events()
        self._untaken: Batch | None = None
        self._seq = 0
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def holds(self) -> bool:
        """Whether it evaluates, rather than waits for another's lease to end."""
        return self._renewed_s != float("-inf")

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="pitstop-watch", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = _STOP_S) -> bool:
        """End after the round it is in and give the lease back; whether it ended in time."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return False
        if self.holds:
            try:
                self._ledger.release(self.holder)
            except StoreError as error:
                _log.info("pitstop: the lease of watching runs out by itself: %s", error)
            self._lose()
        return True

    def tick(self) -> list[Notification]:
        """One round: look at what is due, write what follows; the messages that were put. Raises StoreError."""
        now_s = self._clock.now_s()
        holds = self._hold()
        self._tend(holds=holds)
        if not holds:
            return []
        plan = self._plan()
        due = self._due(plan.rules, now_s)
        if not due and 0 <= now_s - self._stepped_s < STEP_S:
            return []
        looks = [look for at_s in sorted(due) for look in self._look(at_s, due[at_s])]
        done = self._write(plan, looks, now_s)
        self._stepped_s = now_s
        for at_s, rules in due.items():
            self._looked |= {rule.name: (rule, at_s) for rule in rules}
        names = {rule.name for rule in plan.rules}
        self._looked = {name: looked for name, looked in self._looked.items() if name in names}
        self.checked = {name: checked for name, checked in self.checked.items() if name in names}
        self._tell_store(int(max(due, default=now_s)) if due else None)
        return done.notifications

    def _run(self) -> None:
        while True:
            try:
                self.tick()
                self.problem = ""
            except LeaseLostError:
                self._lose()
            except PitstopError as error:
                if str(error) != self.problem:
                    self.problem = str(error)
                    _log.warning("pitstop: watching waits: %s", error)
            except Exception as error:  # noqa: BLE001  a fault of ours must not end watching for good
                self.problem = repr(error)
                _log.exception("pitstop: watching failed and goes on")
            if self._end.wait(TICK_S):
                return

    def _hold(self) -> bool:
        """Take or renew the lease. Who takes it anew begins with a look at everything."""
        now = time.monotonic()
        if now - self._renewed_s < RENEW_S:
            return True
        if not self._ledger.lease(self.holder, LEASE_S):
            self._lose()
            return False
        self._renewed_s = now
        return True

    def _lose(self) -> None:
        self._renewed_s = self._stepped_s = float("-inf")
        self._looked.clear()

    def _due(self, rules: Sequence[Rule], now_s: float) -> dict[int, list[Rule]]:
        """Rules by the moment of their grid that has come; one that was changed is looked at anew."""
        due: dict[int, list[Rule]] = {}
        for rule in rules:
            at_s = int((now_s - SETTLED_S) // rule.every_s) * rule.every_s
            known, looked_s = self._looked.get(rule.name, (None, -1.0))
            if known != rule or at_s > looked_s or looked_s > now_s:
                due.setdefault(at_s, []).append(rule)
        return due

    def _look(self, at_s: int, rules: Sequence[Rule]) -> list[Looked]:
        sight = self._sight(at_s, self._kept)
        looks = []
        for rule in rules:
            began = time.perf_counter()
            try:
                look = Looked(rule, at_s, KINDS[rule.kind].read(rule, sight))
            except PitstopError as error:  # what cannot be read changes nothing
                self._note(rule, at_s, time.perf_counter() - began, str(error))
                continue
            except Exception as error:  # noqa: BLE001  a fault of ours in one rule must not blind all others
                known = self.checked.get(rule.name)
                if known is None or known.problem != repr(error):
                    _log.exception("pitstop: the rule '%s' failed in itself", rule.name)
                self._note(rule, at_s, time.perf_counter() - began, repr(error))
                continue
            looks.append(look)
            self._note(rule, at_s, time.perf_counter() - began, "", look)
        return looks

    def _note(self, rule: Rule, at_s: float, took_s: float, problem: str, look: Looked | None = None) -> None:
        value, limit, unit = closest(rule, look) if look else (None, rule.limit, "")
        self.checked[rule.name] = Checked(at_s, took_s, value, limit, unit, problem)

    def _write(self, plan: Plan, looks: Sequence[Looked], now_s: float) -> Stepped:
        if not self._hold():  # looking took longer than the lease, and another goes on
            raise LeaseLostError(f"{self.holder} was too slow and no longer watches")
        with self._ledger.read() as db:
            kept = journal.load(db, now_s)
        before = State(kept.open, kept.ended, kept.groups)
        done = step(
            before,
            looks,
            now_s,
            known={rule.name for rule in plan.rules},
            muting=Muting(
                kept.silences,
                plan.maintenances,
                plan.inhibits,
                {rule.name: rule.depends_on for rule in plan.rules if rule.depends_on},
            ),
            grouping=plan.grouping,
            public_url=self._public_url,
        )
        by_name = {rule.name: rule for rule in plan.rules}
        told = self._with_charts(done.notifications, by_name)
        done = done._replace(notifications=told)
        if done.state != before or done.ended or done.moments or told:
            with self._ledger.write(self.holder) as db:
                sent = {one.key: len(self._put(db, one)) for one in told}
                moments = [(key, addressed(moment, sent)) for key, moment in done.moments]
                journal.save_incidents(db, kept.open, done.state.open, done.ended, moments)
                journal.save_groups(db, kept.groups, done.state.groups)
            self._mark(before, done)
        if now_s - self._forgot_s >= FORGET_S:
            with self._ledger.write(self.holder) as db:
                journal.forget(db, now_s - journal.KEPT_S)
            self._forgot_s = now_s
        return done

    def _with_charts(self, told: Sequence[Notification], rules: Mapping[str, Rule]) -> list[Notification]:
        """Charts for as many as there is time for, the worst first: a burst must not hold up what it is about."""
        until_s = time.monotonic() + CHARTS_S
        order = sorted(range(len(told)), key=lambda i: SEVERITIES.index(told[i].severity))
        out = list(told)
        for i in order:
            if time.monotonic() < until_s:
                out[i] = self._illustrate(told[i], rules)
        return out

    def _mark(self, before: State, done: Stepped) -> None:
        """Remember for the store what charts are to mark."""
        for key, one in done.state.open.items():
            known = before.open.get(key)
            if one.incident.fired_s is not None and (known is None or known.incident.fired_s is None):
                self._event(one.incident.fired_s, one.incident, "fires")
        for incident in done.ended:
            self._event(incident.ended_s or 0.0, incident, "has ended")

    def _event(self, ts_s: float, incident: Incident, what: str) -> None:
        events = self._waiting
        if len(events) >= MOST_WAITING:
            self.unmarked += 1
            return
        events.ts.append(int(ts_s))
        events.service.append(incident.labels.get("service", ""))
        events.kind.append(ALERT)
        events.text.append(
            f"{incident.rule} {what}: {incident.summary}" if what == "fires" else f"{incident.rule} {what}"
        )

    def _tell_store(self, at_s: int | None) -> None:
        """Events, and the figures of this machine, so that a replay has them.

        What the store does not take is kept and offered again unchanged, before anything else.
        """
        samples = Samples()
        for name, value in self._gauges(at_s).items() if at_s is not None else ():
            samples.ts.append(at_s or 0)
            samples.service.append("")
            samples.worker.append(WORKER)
            samples.name.append(name)
            samples.value.append(value)
        try:
            if self._untaken is not None:
                self._store.append(self._untaken)
                self._untaken = None
            if len(self._waiting) or len(samples):
                self._untaken = Batch(self.holder, self._seq, samples=samples, events=self._waiting)
                self._seq += 1
                self._waiting = Events()
                self._store.append(self._untaken)
                self._untaken = None
        except StoreError as error:
            lost = f", {self.unmarked} not at all" if self.unmarked else ""
            _log.info("pitstop: alerts are marked on charts later%s: %s", lost, error)


def addressed(moment: Moment, sent: Mapping[str, int]) -> Moment:
    """A line of a timeline that has the key of a message, with how many channels take that instead."""
    if moment.what not in TOLD:
        return moment
    number = sent.get(moment.text, 0)
    return moment._replace(text=f"through {number} channel{'s' * (number != 1)}" if number else "no channel takes it")


def closest(rule: Rule, look: Looked) -> tuple[float | None, float | None, str]:
    """Value, limit and unit of the reading that is furthest beyond its limit, or closest to it."""
    best: tuple[float, float | None, float | None, str] | None = None
    for reading in look.readings:
        if reading.value is None:
            continue
        rank = -reading.value if rule.below is not None else reading.value
        rank += 0 if not reading.hot else 1e300
        if best is None or rank > best[0]:
            best = (rank, reading.value, reading.limit, reading.unit)
    return (None, rule.limit, "") if best is None else best[1:]
