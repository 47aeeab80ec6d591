"""Whoever watches: rules, objectives, channels and the evaluator behind the one protocol that the dashboard asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pitstop.model import NotFoundError, SettingError, SystemClock
from pitstop.model.watching import Incident, Moment, Silence
from pitstop.watch import journal
from pitstop.watch.evaluator import Evaluator
from pitstop.watch.rulebook import parse_matches
from pitstop.watch.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pitstop.model import Clock, Store, Window
    from pitstop.model.watching import Channel, Component, Delivery, Replay, RuleState, SloState, Tested
    from pitstop.watch.ledger import Ledger

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
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self._clock = clock or SystemClock()
        self._shelf = Shelf(ledger, rules_path, self._clock)
        self.evaluator = Evaluator(store, ledger, self._shelf.plan, public_url=public_url, clock=self._clock)

    def start(self) -> None:
        """Evaluate from now on, in threads of its own."""
        self.evaluator.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End within `timeout_s`; whether everything ended in time."""
        return self.evaluator.stop(timeout_s)

    def slos(self, *, service: str | None = None, points: bool = False) -> Sequence[SloState]:
        """Every objective now, the least budget left first."""
        raise NotFoundError("objectives are not built in yet")

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
        return self._shelf.states(self.evaluator.checked)

    def check_rule(self, text: str) -> RuleState:
        """What `save_rule` would make of `text`. Raises SettingError."""
        return self._shelf.check(text)

    def save_rule(self, text: str, who: str) -> RuleState:
        """Add or replace one rule, objective, probe or maintenance window. Raises SettingError."""
        return self._shelf.save(text, _line("who", who))

    def delete_rule(self, name: str, who: str) -> None:
        """Remove one that was made in the dashboard. Raises NotFoundError, SettingError for one of the file."""
        del who
        self._shelf.delete(name)

    def test_rule(self, text: str, window: Window) -> Replay:
        """What a rule would have done."""
        raise NotFoundError("replay is not built in yet")

    def channels(self) -> Sequence[Channel]:
        """Everybody who can be told."""
        raise NotFoundError("channels are not built in yet")

    def save_channel(self, name: str, kind: str, address: str, options: Mapping[str, object], who: str) -> Channel:
        """Add or replace one."""
        raise NotFoundError("channels are not built in yet")

    def delete_channel(self, name: str, who: str) -> None:
        """Remove one that was made in the dashboard."""
        raise NotFoundError("channels are not built in yet")

    def send_test(self, name: str | None = None) -> Sequence[Tested]:
        """Send a test message, and wait."""
        raise NotFoundError("channels are not built in yet")

    def deliveries(self, *, state: str | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Newest first."""
        raise NotFoundError("channels are not built in yet")

    def redeliver(self, ident: int, who: str) -> Delivery:
        """Send a dead one again."""
        raise NotFoundError("channels are not built in yet")

    def discard(self, ident: int, who: str) -> None:
        """Forget a dead one."""
        raise NotFoundError("channels are not built in yet")

    def components(self) -> Sequence[Component]:
        """The state of everything."""
        raise NotFoundError("components are not built in yet")


def _line(what: str, value: str) -> str:
    text = " ".join(value.split())
    if not text or len(text) > LONGEST_TEXT:
        raise SettingError(f"'{what}' has to be a line of at most {LONGEST_TEXT} characters")
    return text
