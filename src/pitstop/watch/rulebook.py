"""The rules file, whole: what stands in it, what is wrong with it, and the built-in rules it may replace.

One bad entry never takes the others with it: it is kept as a `Problem`, and shown as a rule that says what is wrong.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pitstop.model import SettingError
from pitstop.watch.conditions import KINDS
from pitstop.watch.groups import Grouping
from pitstop.watch.mute import DAY_MINUTES, DAYS, Inhibit, Maintenance
from pitstop.watch.rules import Rule, checked_name, flag, length_s, parse_rule, texts
from pitstop.watch.toml import table_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")
DEFAULT = "default"
DASHBOARD = "dashboard"
CHANNEL = "channel"
MAINTENANCE = "maintenance"
TABLES = ("rule", "slo", "probe", "maintenance", "inhibit", "channel")
SAVED = ("rule", "slo", "probe", "maintenance")  # what the dashboard may save
_KNOWN = ("group", "defaults", *TABLES)
_LABEL = re.compile(r"[a-z_][a-z0-9_]*")
_MOMENT = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
LONGEST_ENTRY = 20_000
_LARGEST_BYTES = 1_000_000


class Entry(NamedTuple):
    """One table that is somebody else's to read (objective, probe, channel), as it stands."""

    what: str
    name: str
    table: Mapping[str, object]
    source: str
    text: str


class Problem(NamedTuple):
    """An entry that cannot be used, and why."""

    name: str
    what: str
    source: str
    text: str
    problem: str


class Rulebook(NamedTuple):
    """Everything that is to be watched, from one source."""

    rules: tuple[Rule, ...] = ()
    entries: tuple[Entry, ...] = ()
    inhibits: tuple[Inhibit, ...] = ()
    maintenances: tuple[Maintenance, ...] = ()
    grouping: Grouping = Grouping()
    defaults: bool = True
    problems: tuple[Problem, ...] = ()

    def of(self, what: str) -> list[Entry]:
        """The entries of one kind of table."""
        return [entry for entry in self.entries if entry.what == what]


def default_rules() -> Rulebook:
    """The rules that are on unless the file says ``defaults = false`` or has one of the same name."""
    text = resources.files("pitstop.watch").joinpath("default_rules.toml").read_text("utf-8")
    return read_rulebook(text, DEFAULT)


def load_rulebook(path: Path) -> Rulebook:
    """The rules file; nothing where there is none. Never raises: what is wrong stands in `problems`."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Rulebook()
    except OSError as error:
        return _broken(path.name, f"{path.name} cannot be read: {error.strerror or error}")
    if len(raw) > _LARGEST_BYTES:
        return _broken(path.name, f"{path.name} is larger than {_LARGEST_BYTES} bytes; that is no rules file")
    try:
        return read_rulebook(raw.decode(), path.name)
    except UnicodeDecodeError as error:
        return _broken(path.name, f"{path.name} is not UTF-8: {error}")


def read_rulebook(text: str, source: str) -> Rulebook:
    """What `text` has. Never raises."""
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return _broken(source, f"{source} is no TOML: {error}")
    problems = [
        Problem(key, "", source, "", f"'{key}' is no part of a rules file; there are {', '.join(_KNOWN)}")
        for key in tables
        if key not in _KNOWN
    ]
    found: dict[str, list[object]] = {what: [] for what in TABLES}
    names: set[str] = set()
    for what in TABLES:
        entries = tables.get(what, [])
        for number, table in enumerate(entries if isinstance(entries, list) else [entries], 1):
            try:
                read = parse_entry(what, table, source)
                name = getattr(read, "name", "")
                if name and name in names and what != CHANNEL:
                    problems.append(_twice(what, name, table, source))
                    continue
                names.add(name)
                found[what].append(read)
            except SettingError as error:
                problems.append(_problem(what, number, table, source, error))
    grouping, defaults = Grouping(), True
    try:
        grouping = _grouping(tables.get("group", {}))
        defaults = flag("defaults", tables.get("defaults", True))
    except SettingError as error:
        problems.append(Problem("group", "group", source, "", str(error)))
    return Rulebook(
        rules=tuple(found["rule"]),  # type: ignore[arg-type]  # each table has its own parser
        entries=(*found["slo"], *found["probe"], *found["channel"]),  # type: ignore[arg-type]  # each table has its own parser
        inhibits=tuple(found["inhibit"]),  # type: ignore[arg-type]  # each table has its own parser
        maintenances=tuple(found["maintenance"]),  # type: ignore[arg-type]  # each table has its own parser
        grouping=grouping,
        defaults=defaults,
        problems=tuple(problems),
    )


def single(text: str) -> tuple[str, Mapping[str, object]]:
    """The one table that `text` has: what it is, and its keys. Raises SettingError for anything else."""
    if len(text) > LONGEST_ENTRY:
        raise SettingError(f"this has {len(text)} characters; an entry has {LONGEST_ENTRY} at most")
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingError(f"this is no TOML: {error}") from error
    if "kind" in tables and "name" in tables:  # a rule without its heading
        tables = {"slo" if "target" in tables and tables["kind"] not in KINDS else "rule": tables}
    if len(tables) != 1 or next(iter(tables)) not in SAVED:
        raise SettingError(f"write one of {', '.join(f'[[{what}]]' for what in SAVED)} and its keys")
    what, table = next(iter(tables.items()))
    if isinstance(table, list):
        if len(table) != 1:
            raise SettingError(f"there are {len(table)} tables [[{what}]]; write one")
        table = table[0]
    if not isinstance(table, dict):
        raise SettingError(f"[[{what}]] is no table")
    return what, table


def parse_entry(what: str, table: object, source: str) -> Rule | Entry | Inhibit | Maintenance:
    """One table of the file. Raises SettingError."""
    if not isinstance(table, dict):
        raise SettingError(f"[[{what}]] is no table")
    if what == "rule":
        return parse_rule(table, source)
    if what == "inhibit":
        return _inhibit(table)
    if what == "maintenance":
        return _maintenance(table, source)
    return Entry(what, checked_name(table, what), table, source, table_text(what, table))


def _problem(what: str, number: int, table: object, source: str, error: SettingError) -> Problem:
    named = isinstance(table, dict) and isinstance(table.get("name"), str) and table["name"]
    text = table_text(what, table) if isinstance(table, dict) else ""
    return Problem(str(named or f"{what} {number} of {source}"), what, source, text, str(error))


def _twice(what: str, name: str, table: object, source: str) -> Problem:
    error = SettingError(f"there are two entries named '{name}'; the second one is not used")
    return _problem(what, 0, table, source, error)


def _broken(source: str, problem: str) -> Rulebook:
    return Rulebook(problems=(Problem(source, "file", source, "", problem),))


def _only(where: str, table: Mapping[str, object], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            raise SettingError(f"{where} has no '{key}'; it has {', '.join(keys)}")


def _grouping(table: object) -> Grouping:
    if not isinstance(table, dict):
        raise SettingError("[group] is no table")
    _only("[group]", table, ("by", "wait", "interval", "repeat"))
    usual = Grouping()
    return Grouping(
        by=texts("group: by", table["by"]) if "by" in table else usual.by,
        wait_s=length_s("group: wait", table.get("wait", usual.wait_s)),
        interval_s=length_s("group: interval", table.get("interval", usual.interval_s), 1),
        repeat_s=length_s("group: repeat", table.get("repeat", usual.repeat_s), 1),
    )


def parse_matches(where: str, value: object) -> dict[str, str]:
    """Labels and the glob patterns they have to match. Raises SettingError."""
    if not isinstance(value, dict) or not value:
        raise SettingError(f'{where} = {value!r} names no label; write it as {{service = "shop*"}}')
    for name, pattern in value.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name) or not isinstance(pattern, str):
            raise SettingError(f"{where}: {name} = {pattern!r} is no label with a pattern")
    return dict(value)


def _inhibit(table: Mapping[str, object]) -> Inhibit:
    _only("an inhibition", table, ("source", "target", "equal"))
    return Inhibit(
        parse_matches("inhibit: source", table.get("source")),
        parse_matches("inhibit: target", table.get("target")),
        texts("inhibit: equal", table["equal"]) if table.get("equal") else (),
    )


def _maintenance(table: Mapping[str, object], source: str) -> Maintenance:
    name = checked_name(table, "maintenance")
    where = f"maintenance '{name}'"
    _only(where, table, ("name", "days", "from", "to", "matches"))
    days = texts(f"{where}: days", table["days"]) if table.get("days") else ()
    for day in days:
        if day not in DAYS:
            raise SettingError(f"{where}: '{day}' is no day; there are {', '.join(DAYS)}")
    begin, end = _minute(f"{where}: from", table.get("from")), _minute(f"{where}: to", table.get("to"))
    if begin == end:
        raise SettingError(f'{where} ends when it begins; for a whole day write from = "00:00", to = "24:00"')
    return Maintenance(
        name,
        tuple(DAYS.index(day) for day in days),
        begin,
        end,
        parse_matches(f"{where}: matches", table.get("matches")),
        source,
        table_text(MAINTENANCE, table),
    )


def _minute(where: str, value: object) -> int:
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    minute = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minute <= DAY_MINUTES:
        raise SettingError(f'{where} = {value!r} is no time of the day in UTC, as in "02:00"')
    return minute


def parsed_with(parse: Callable[[Mapping[str, object], str], T], entries: list[Entry]) -> tuple[list[T], list[Problem]]:
    """Each of `entries` as `parse` reads it, and those that it cannot read."""
    good, bad = [], []
    for entry in entries:
        try:
            good.append(parse(entry.table, entry.source))
        except SettingError as error:
            bad.append(Problem(entry.name, entry.what, entry.source, entry.text, str(error)))
    return good, bad
