"""Whoever watches: rules, objectives, channels and the evaluator behind the one protocol that the dashboard asks."""

from __future__ import annotations

import json
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pitstop.egress import Client
from pitstop.model import NotFoundError, SettingError, SystemClock, Window
from pitstop.model.watching import DEGRADED, DOWN, OK, Component, Incident, Moment, Silence
from pitstop.watch import journal
from pitstop.watch.bins import Kept
from pitstop.watch.budgets import burning, slo_states
from pitstop.watch.burn import LATE_S
from pitstop.watch.components import components
from pitstop.watch.evaluator import Evaluator, Plan
from pitstop.watch.gauges import measured
from pitstop.watch.illustrate import illustrated
from pitstop.watch.objectives import Objective, default_objectives, parse_objective
from pitstop.watch.outbox import Outbox
from pitstop.watch.prober import Prober
from pitstop.watch.probes import Probe, parse_probe
from pitstop.watch.replay import replay
from pitstop.watch.roster import Channels
from pitstop.watch.rulebook import CHANNEL, DASHBOARD, Problem, parse_matches, parsed_with, single
from pitstop.watch.rules import LONGEST_NAME
from pitstop.watch.secrets import Vault
from pitstop.watch.shelf import Shelf
from pitstop.watch.sight import SETTLED_S, Sight

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    from pitstop.model import Clock, Store
    from pitstop.model.watching import Channel, Delivery, Notification, Replay, RuleState, SloState, Tested
    from pitstop.watch.ledger import Ledger
    from pitstop.watch.rules import Rule

LONGEST_TEXT = 1000
LONGEST_SILENCE_S = 366 * 86_400


class Watcher:
    """`pitstop.model.watching.Watch` over a store and its ledger. Safe from any thread.

    `start` begins to evaluate, to send and to probe; without it, it answers and takes changes all the same, and
    whoever was started evaluates. `rules_path` is the rules file, which need not be there.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        *,
        rules_path: Path | None = None,
        public_url: str = "",
        egress_allow: Sequence[str] = (),
        secret_key: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self._clock = clock or SystemClock()
        self._past = Kept()
        self._measured: tuple[int, dict[str, float]] = (-1, {})
        self._public_url = public_url
        self._shelf = Shelf(ledger, rules_path, self._clock)
        self._egress = Client(egress_allow)
        self._roster = Channels(ledger, Vault(secret_key, ledger.path and ledger.path.with_suffix(".key")))
        self._tables: object = None
        self.outbox = Outbox(ledger, self._roster, egress_allow=egress_allow)
        self._prober: Prober | None = None
        self.evaluator = Evaluator(
            store,
            ledger,
            self._plan,
            tend=self._tend,
            put=self.outbox.put,
            sight=self._sight,
            illustrate=self._illustrated,
            gauges=self._gauges,
            public_url=public_url,
            clock=self._clock,
        )

    def start(self) -> None:
        """Evaluate, send and probe from now on, in threads of its own."""
        self._load_channels()
        self.outbox.start()
        self.evaluator.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End within `timeout_s`; whether everything ended in time. What was to be told is kept."""
        deadline_s = time.monotonic() + timeout_s
        done = self.evaluator.stop(timeout_s / 2)
        self._tend(holds=False)
        return self.outbox.stop(max(0.0, deadline_s - time.monotonic())) and done

    def beat(self, name: str) -> None:
        """Note that `name` has reported: what rules of kind heartbeat wait for. Raises SettingError."""
        with self.ledger.write() as db:
            db.execute(
                "INSERT INTO heartbeat VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET seen_s = ?2",
                (_line("name", name)[:LONGEST_NAME], self._clock.now_s()),
            )

    def objectives(self) -> list[Objective]:
        """Those of the file and the dashboard, and the usual ones of every service that has none of that name."""
        return self._objectives_and_problems()[0]

    def enabled_rules(self) -> Sequence[Rule]:
        """The rules that are evaluated."""
        return self._shelf.plan().rules

    def slos(self, *, service: str | None = None, points: bool = False) -> Sequence[SloState]:
        """Every objective now, the least budget left first. Raises StoreError."""
        found = slo_states(self.store, self.objectives(), self._clock.now_s(), points=points, kept=self._past)
        return [one for one in found if service is None or one.labels.get("service") == service]

    def incidents(self, window: Window, *, service: str | None = None, state: str | None = None) -> list[Incident]:
        """Those that lasted into `window`, open ones first, then the newest."""
        with self.ledger.read() as db:
            return journal.incidents(db, window, service, state)

    def incident(self, ident: int) -> tuple[Incident, list[Moment]]:
        """One with its timeline. Raises NotFoundError."""
        with self.ledger.read() as db:
            found = journal.incident(db, ident)
            if found is None:
                raise NotFoundError(f"there is no incident {ident}; 'pitstop alerts list' shows those there are")
            return found, journal.timeline(db, ident)

    def acknowledge(self, ident: int, who: str, note: str = "") -> Incident:
        """Say that somebody looks after it. Raises NotFoundError, SettingError when it has ended."""
        now_s = self._clock.now_s()
        with self.ledger.write() as db:
            found = journal.incident(db, ident)
            if found is None:
                raise NotFoundError(f"there is no incident {ident}; 'pitstop alerts list' shows those there are")
            if found.ended_s is not None:
                raise SettingError(f"incident {ident} has ended; there is nothing left to look after")
            who, note = _line("who", who), note.strip()[:LONGEST_TEXT]
            db.execute("UPDATE incident SET acked_by = ?, acked_s = ? WHERE id = ?", (who, now_s, ident))
            journal.add_moments(db, [(ident, Moment(now_s, "acknowledged", who, note))])
        return found._replace(acked_by=who, acked_s=now_s)

    def silences(self, *, ended: bool = False) -> list[Silence]:
        """Those in force or to come; with `ended`, the past ones too."""
        with self.ledger.read() as db:
            return journal.silences(db, self._clock.now_s(), ended=ended)

    def silence(self, matches: Mapping[str, str], who: str, why: str, start_s: float, end_s: float) -> Silence:
        """Begin one. Raises SettingError when it matches everything, has no reason or no sensible end."""
        wanted = parse_matches("the silence's matches", dict(matches))
        who, why = _line("who", who), _line("why", why)
        if all(pattern == "*" for pattern in wanted.values()):
            raise SettingError("this would silence everything; name at least one label, as in service=shop")
        if not start_s < end_s <= start_s + LONGEST_SILENCE_S:
            raise SettingError("a silence has to end after it begins, and within a year")
        if end_s <= self._clock.now_s():
            raise SettingError("this silence would have ended already")
        with self.ledger.write() as db:
            done = db.execute(
                "INSERT INTO silence (matches, author, why, start_s, end_s) VALUES (?, ?, ?, ?, ?)",
                (json.dumps(wanted, ensure_ascii=False), who, why, start_s, end_s),
            )
            assert done.lastrowid is not None
            return Silence(done.lastrowid, wanted, who, why, start_s, end_s)

    def unsilence(self, ident: int, who: str) -> None:
        """End one now. Raises NotFoundError."""
        del who
        now_s = self._clock.now_s()
        with self.ledger.write() as db:
            done = db.execute("UPDATE silence SET end_s = ?1 WHERE id = ?2 AND end_s > ?1", (now_s, ident))
            if done.rowcount != 1:
                raise NotFoundError(
                    f"there is no silence {ident} in force; 'pitstop alerts list' shows those there are"
                )

    def rules(self) -> list[RuleState]:
        """Every rule, firing ones first."""
        problems = (*self._objectives_and_problems()[1], *self._probes()[1])
        elsewhere = not self.evaluator.holds and bool(self._holder())
        return self._shelf.states(self.evaluator.checked, problems, elsewhere=elsewhere)

    def check_rule(self, text: str) -> RuleState:
        """What `save_rule` would make of `text`. Raises SettingError."""
        self._parses(text)
        return self._shelf.check(text)

    def save_rule(self, text: str, who: str) -> RuleState:
        """Add or replace one rule, objective, probe or maintenance window. Raises SettingError."""
        self._parses(text)
        return self._shelf.save(text, _line("who", who))

    def delete_rule(self, name: str, who: str) -> None:
        """Remove one that was made in the dashboard. Raises NotFoundError, SettingError for one of the file."""
        del who
        self._shelf.delete(name)

    def test_rule(self, text: str, window: Window) -> Replay:
        """What `text`, a rule as TOML or the name of one, would have done. Raises SettingError, NotFoundError."""
        rule = self._shelf.rule(text)
        end_s = min(window.end_s, int(self._clock.now_s()) - SETTLED_S + 1)
        return replay(rule, Window(window.start_s, end_s), self.store, objectives=self.objectives())

    def channels(self) -> list[Channel]:
        """Everybody who can be told, and how they stand."""
        self._load_channels()
        return self.outbox.channels()

    def save_channel(self, name: str, kind: str, address: str, options: Mapping[str, object], who: str) -> Channel:
        """Add or replace one; an empty address or secret keeps it. Raises SettingError."""
        self._load_channels()
        saved = self._roster.save(name, kind, address, options, _line("who", who))
        return next(one for one in self.outbox.channels() if one.name == saved.name)

    def delete_channel(self, name: str, who: str) -> None:
        """Remove one that was made in the dashboard. Raises NotFoundError, SettingError for one of the file."""
        del who
        self._load_channels()
        self._roster.delete(name)

    def send_test(self, name: str | None = None) -> list[Tested]:
        """Send a test message to one channel or to all, wait, and tell what came of each. Raises NotFoundError."""
        self._load_channels()
        return self.outbox.send_test(name, public_url=self._public_url)

    def deliveries(self, *, state: str | None = None, limit: int = 100) -> list[Delivery]:
        """Newest first."""
        return self.outbox.deliveries(state=state, limit=limit)

    def redeliver(self, ident: int, who: str) -> Delivery:
        """Send a dead one again. Raises NotFoundError."""
        return self.outbox.redeliver(ident, who)

    def discard(self, ident: int, who: str) -> None:
        """Forget a dead one. Raises NotFoundError."""
        self.outbox.discard(ident, who)

    def components(self) -> list[Component]:
        """The state of everything, the worst first."""
        now_s = self._clock.now_s()
        prober = self._prober
        found = components(
            self.store,
            now_s,
            channels=self.channels(),
            probes=[probe.name for probe in self._probes()[0]],
            probed=prober.last() if prober is not None else None,
        )
        return sorted([*found, self._watching(now_s)], key=lambda one: one.state == OK)

    def _watching(self, now_s: float) -> Component:
        """Whether anybody evaluates, and how that goes."""
        holder = self._holder()
        if not holder:
            return Component("watching", DOWN, "nobody looks at the rules; run 'pitstop serve'", now_s)
        if holder == self.evaluator.holder and self.evaluator.problem:
            return Component("watching", DEGRADED, self.evaluator.problem, now_s)
        return Component("watching", OK, f"done by {holder}", now_s)

    def _holder(self) -> str:
        """Who evaluates now, or ``""``."""
        with self.ledger.read() as db:
            row = db.execute("SELECT holder FROM lease WHERE until_s > ?", (time.time(),)).fetchone()
        return str(row[0]) if row else ""

    def _plan(self) -> Plan:
        self._load_channels()
        return self._shelf.plan()

    def _load_channels(self) -> None:
        entries = self._shelf.book().of(CHANNEL)
        tables = [entry.table for entry in entries]
        if tables != self._tables:
            self._roster.load(tables, entries[0].source if entries else "")
            self._tables = tables

    def _tend(self, *, holds: bool) -> None:
        """Probe while this process watches, and what is to be probed now: so each thing is probed by one."""
        wanted = tuple(self._probes()[0]) if holds else ()
        if self._prober is not None and self._prober.probes + self._prober.left_out != wanted:
            self._prober.stop(0.0)
            self._prober = None
        if wanted and self._prober is None:
            self._prober = Prober(wanted, self.store.append, self._egress)
            self._prober.start()

    def _probes(self) -> tuple[list[Probe], list[Problem]]:
        return parsed_with(parse_probe, self._shelf.book().of("probe"))

    def _objectives_and_problems(self) -> tuple[list[Objective], list[Problem]]:
        book = self._shelf.book()
        wanted, problems = parsed_with(parse_objective, book.of("slo"))
        usual = (
            default_objectives(self.store.services(), [probe.name for probe in self._probes()[0]])
            if book.defaults
            else []
        )
        taken = [(one.name, one.service) for one in wanted]
        usual = [
            one for one in usual if not any(one.name == name and fnmatchcase(one.service, of) for name, of in taken)
        ]
        return [*wanted, *usual], problems

    def _parses(self, text: str) -> None:
        what, table = single(text)
        if what == "slo":
            parse_objective(table, DASHBOARD)
        elif what == "probe":
            parse_probe(table, DASHBOARD)

    def _sight(self, at_s: int, kept: dict[Hashable, object]) -> Sight:
        return Sight(
            self.store,
            at_s,
            gauges=self._gauges,
            components=lambda _: self.components(),
            burning=lambda moment_s: burning(self.store, self.objectives(), moment_s + LATE_S),
            kept=kept,
        )

    def _illustrated(self, notification: Notification, rules: Mapping[str, Rule]) -> Notification:
        return illustrated(notification, rules, self.store, self.objectives(), self._clock.now_s() - SETTLED_S)

    def _gauges(self, at_s: int) -> Mapping[str, float]:
        if self._measured[0] != at_s:
            self._measured = at_s, measured(self.store, self.ledger, at_s)
        return self._measured[1]


def _line(what: str, value: str) -> str:
    text = " ".join(value.split())
    if not text or len(text) > LONGEST_TEXT:
        raise SettingError(f"'{what}' has to be a line of at most {LONGEST_TEXT} characters")
    return text
