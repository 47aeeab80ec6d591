"""Where rules come from: the file, the dashboard, the built-in ones; which of one name counts; and how each stands."""

from __future__ import annotations

import threading
import tomllib
from typing import TYPE_CHECKING

from pitstop.model import NotFoundError, SettingError
from pitstop.model.watching import FIRING, NO_DATA, OK, PENDING, RuleState
from pitstop.watch.evaluator import Checked, Plan
from pitstop.watch.mute import Inhibit
from pitstop.watch.rulebook import (
    CHANNEL,
    DASHBOARD,
    DEFAULT,
    MAINTENANCE,
    Entry,
    Problem,
    Rulebook,
    default_rules,
    load_rulebook,
    parse_entry,
    read_rulebook,
    single,
)
from pitstop.watch.rules import Rule, parse_rule
from pitstop.watch.toml import table_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pitstop.model import Clock
    from pitstop.watch.ledger import Ledger
    from pitstop.watch.mute import Maintenance

REREAD_S = 2.0  # how soon a change of the file or by another process is seen
_ORDER = (FIRING, PENDING)


class Shelf:
    """All rules, objectives, probes and maintenance windows.

    Of two with one name the file's counts, then the dashboard's, then the built-in one. Safe from any thread.
    Raises StoreError when the ledger cannot be read.
    """

    def __init__(self, ledger: Ledger, path: Path | None, clock: Clock) -> None:
        self._ledger = ledger
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._defaults = default_rules()
        self._file = Rulebook()
        self._file_mark: object = None
        self._saved = Rulebook()
        self._saved_rows: list[tuple[str, str]] = []
        self._read_s = float("-inf")
        self._book: Rulebook | None = None

    def book(self) -> Rulebook:
        """Everything that counts, as one."""
        with self._lock:
            if self._refresh() or self._book is None:
                self._book = self._merged()
            return self._book

    def _merged(self) -> Rulebook:
        file, saved = self._file, self._saved
        parts = [file, saved, *([self._defaults] if file.defaults else [])]
        taken: set[str] = {problem.name for problem in file.problems}
        rules: list[Rule] = []
        entries: list[Entry] = []
        windows: list[Maintenance] = []
        for part in parts:
            rules += [rule for rule in part.rules if rule.name not in taken]
            entries += [entry for entry in part.entries if entry.name not in taken or entry.what == CHANNEL]
            windows += [window for window in part.maintenances if window.name not in taken]
            taken |= {rule.name for rule in part.rules} | {window.name for window in part.maintenances}
            taken |= {entry.name for entry in part.entries if entry.what != CHANNEL}
        inhibits = tuple(inhibit for part in parts for inhibit in part.inhibits)
        return Rulebook(
            tuple(rules), tuple(entries), inhibits, tuple(windows), file.grouping, file.defaults,
            (*file.problems, *saved.problems),
        )  # fmt: skip

    def plan(self) -> Plan:
        """What is evaluated."""
        book = self.book()
        rules = [rule for rule in book.rules if rule.enabled]
        return Plan(rules, book.inhibits, book.maintenances, book.grouping)

    def states(
        self, checked: Mapping[str, Checked], problems: tuple[Problem, ...] = (), *, elsewhere: bool = False
    ) -> list[RuleState]:
        """Every rule and how it stands, firing ones first. `problems` come on top of those of the book.

        `elsewhere`: another process looks at them; what neither fires nor is pending is then taken to be well.
        """
        book = self.book()
        counts: dict[str, dict[str, int]] = {}
        with self._ledger.read() as db:
            for name, state, number in db.execute(
                "SELECT rule, state, count(*) FROM incident WHERE ended_s IS NULL GROUP BY rule, state"
            ):
                counts.setdefault(name, {})[state] = number
        out = [rule_state(rule, counts.get(rule.name, {}), checked.get(rule.name)) for rule in book.rules]
        if elsewhere:
            out = [one._replace(state=OK) if one.state == NO_DATA else one for one in out]
        bad = {problem.name for problem in problems}
        out += [
            _listed(entry.name, entry.what, entry.source, entry.text)
            for entry in book.entries
            if entry.what in {"slo", "probe"} and entry.name not in bad
        ]
        out += [_listed(window.name, MAINTENANCE, window.source, window.text) for window in book.maintenances]
        out += [_listed(p.name, p.what, p.source, p.text, p.problem) for p in (*book.problems, *problems)]
        return sorted(out, key=lambda one: (_rank(one), one.name))

    def rule(self, text: str) -> Rule:
        """The rule that `text` is, as TOML or by its name. Raises SettingError, and NotFoundError for no name."""
        found = next((rule for rule in self.book().rules if rule.name == text.strip()), None)
        if found is not None:
            return found
        if "=" not in text:
            raise NotFoundError(f"there is no rule '{text.strip()}'; write one of the rules' names, or a rule as TOML")
        what, table = single(text)
        if what != "rule":
            raise SettingError(f"[[{what}]] is no rule; only rules are tested on what was recorded")
        return parse_rule(table, DASHBOARD)

    def check(self, text: str) -> RuleState:
        """How the rule in `text` would stand. Raises SettingError for what is none, or has a name of the file."""
        read = self._read(text)
        if isinstance(read, Rule):
            return rule_state(read, {}, None)
        what, _ = single(text)
        return _listed(read.name, what, DASHBOARD, read.text)

    def save(self, text: str, who: str) -> RuleState:
        """Keep it in the ledger. Raises SettingError."""
        state = self.check(text)
        now_s = self._clock.now_s()
        with self._ledger.write() as db:
            db.execute(
                "INSERT INTO rule VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT (name) DO UPDATE SET text = ?2, who = ?3, saved_s = ?4",
                (state.name, _headed(text), who, now_s),
            )
        self._stale()
        return state

    def delete(self, name: str) -> None:
        """Remove it from the ledger. Raises NotFoundError, and SettingError for what is not the dashboard's."""
        with self._ledger.write() as db:
            gone = db.execute("DELETE FROM rule WHERE name = ?", (name,)).rowcount
        self._stale()
        if gone:
            return
        found = next((rule for rule in self.states({}) if rule.name == name), None)
        if found is None:
            raise NotFoundError(f"there is no rule '{name}'")
        if found.source == DEFAULT:
            raise SettingError(f"'{name}' is built in; save one of that name with enabled = false to turn it off")
        raise SettingError(f"'{name}' stands in {found.source}; remove it there")

    def _read(self, text: str) -> Rule | Entry | Maintenance:
        what, table = single(text)
        read = parse_entry(what, table, DASHBOARD)
        assert not isinstance(read, Inhibit)  # none of SAVED
        self.book()
        file = self._file
        names = {rule.name for rule in file.rules} | {entry.name for entry in file.entries}
        if read.name in names | {window.name for window in file.maintenances}:
            raise SettingError(f"'{read.name}' stands in the rules file; change it there")
        return read

    def _stale(self) -> None:
        with self._lock:
            self._read_s = float("-inf")

    def _refresh(self) -> bool:
        """Read again what may have changed; whether it has."""
        now_s = self._clock.now_s()
        if 0 <= now_s - self._read_s < REREAD_S:
            return False
        changed = False
        mark = _mark(self._path) if self._path is not None else None
        if self._path is not None and mark != self._file_mark:
            read = load_rulebook(self._path)
            broken = any(problem.what == "file" for problem in read.problems)
            # a file that cannot be read while it is being written does not turn off what it said before
            self._file = self._file._replace(problems=read.problems) if broken else read
            self._file_mark, changed = mark, True
        with self._ledger.read() as db:
            rows = db.execute("SELECT name, text FROM rule ORDER BY name").fetchall()
        if rows != self._saved_rows:
            parts = [read_rulebook(text, DASHBOARD) for _, text in rows]
            self._saved = Rulebook(
                rules=tuple(rule for part in parts for rule in part.rules),
                entries=tuple(entry for part in parts for entry in part.entries),
                maintenances=tuple(window for part in parts for window in part.maintenances),
                problems=tuple(problem for part in parts for problem in part.problems),
            )
            self._saved_rows, changed = rows, True
        self._read_s = now_s
        return changed


def rule_state(rule: Rule, counts: Mapping[str, int], checked: Checked | None) -> RuleState:
    """How one rule stands."""
    firing, pending = counts.get(FIRING, 0), counts.get(PENDING, 0)
    state = FIRING if firing else PENDING if pending else NO_DATA
    if state == NO_DATA and checked is not None and not checked.problem and checked.value is not None:
        state = OK
    if not rule.enabled:
        state = "off"
    return RuleState(
        rule.name, rule.kind, rule.severity, rule.summary, rule.source, rule.text, state, firing, pending,
        value=checked.value if checked else None,
        limit=checked.limit if checked else rule.limit,
        unit=checked.unit if checked else "",
        checked_s=checked.at_s if checked else None,
        took_s=checked.took_s if checked else None,
        problem=checked.problem if checked else "",
    )  # fmt: skip


def _listed(name: str, what: str, source: str, text: str, problem: str = "") -> RuleState:
    return RuleState(name, what, "", "", source, text, NO_DATA if problem else OK, 0, 0, problem=problem)


def _rank(state: RuleState) -> int:
    if state.problem:
        return len(_ORDER)
    return _ORDER.index(state.state) if state.state in _ORDER else len(_ORDER) + 1


def _mark(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _headed(text: str) -> str:
    """`text` with its heading, as it stands in a file."""
    what, table = single(text)
    return text if "name" not in tomllib.loads(text) else table_text(what, table)
