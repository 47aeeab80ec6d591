"""Incidents, timelines, groups and silences in the ledger: the rows, and nothing about when they change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.watching import FIRING, Incident, Moment, Silence
from pitstop.watch.groups import Group
from pitstop.watch.incidents import Open

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from pitstop.model.window import Window

_INCIDENT = (
    "id, key, rule, severity, state, labels, summary, value, limit_value, unit, began_s, fired_s, ended_s, "
    "acked_by, acked_s, silenced, inhibited"
)
MOST_INCIDENTS = 5000  # of one answer
KEPT_S = 400 * 86_400  # ended incidents and their timelines: a year and the month to compare it with
MOST_MOMENTS = 500  # of one incident; the newest


class Kept(NamedTuple):
    """What the ledger remembers between two looks. `ended` has, by key, the last end of what was told as firing."""

    open: dict[str, Open]
    ended: dict[str, Incident]
    groups: dict[str, Group]
    silences: list[Silence]


def load(db: sqlite3.Connection, now_s: float) -> Kept:
    """What there is."""
    rows = db.execute(f"SELECT clear_since_s, {_INCIDENT} FROM incident WHERE ended_s IS NULL")  # noqa: S608
    opened = {row[2]: Open(_incident(row[1:]), row[0]) for row in rows}
    groups = {
        key: Group(key, first_s, told_s, frozenset(json.loads(told or "[]")))
        for key, first_s, told_s, told in db.execute("SELECT key, first_s, told_s, told FROM message_group")
    }
    told = {key for group in groups.values() for key in group.told}
    told -= {key for key, one in opened.items() if one.incident.state == FIRING}
    ended = {}
    for key in told:
        row = db.execute(
            f"SELECT {_INCIDENT} FROM incident WHERE key = ? AND ended_s IS NOT NULL ORDER BY id DESC LIMIT 1",  # noqa: S608
            (key,),
        ).fetchone()
        if row is not None:
            ended[key] = _incident(row)
    return Kept(opened, ended, groups, silences(db, now_s))


def save_incidents(
    db: sqlite3.Connection,
    before: Mapping[str, Open],
    after: Mapping[str, Open],
    ended: Iterable[Incident],
    moments: Iterable[tuple[str, Moment]],
) -> dict[str, int]:
    """Write what has changed; the id of every incident that is or was open, by key.

    Who looks after an incident is not written: that may have changed meanwhile, and is not the evaluator's to say.
    """
    ids = {key: one.incident.id for key, one in before.items()}
    for key, one in after.items():
        known = before.get(key)
        if known is None:
            ids[key] = _insert(db, one)
        elif known != one:
            _update(db, ids[key], one.incident, one.clear_since_s)
    over = set()
    for incident in ended:
        if incident.key not in before:  # fired and ended within one step; it was never written
            ids[incident.key] = _insert(db, Open(incident))
        else:
            _update(db, ids[incident.key], incident, None)
        over.add(incident.key)
    gone = [(ids[key],) for key in before if key not in after and key not in over]
    db.executemany("DELETE FROM incident WHERE id = ?", gone)
    add_moments(db, ((ids[key], moment) for key, moment in moments if key in ids))
    return ids


def add_moments(db: sqlite3.Connection, moments: Iterable[tuple[int, Moment]]) -> None:
    """Write lines of timelines."""
    db.executemany(
        "INSERT INTO moment VALUES (?, ?, ?, ?, ?)",
        [(ident, moment.ts_s, moment.what, moment.who, moment.text) for ident, moment in moments],
    )


def save_groups(db: sqlite3.Connection, before: Mapping[str, Group], after: Mapping[str, Group]) -> None:
    """Write the groups that have changed and forget those that are no more."""
    db.executemany("DELETE FROM message_group WHERE key = ?", [(key,) for key in before if key not in after])
    db.executemany(
        "INSERT INTO message_group VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (key) DO UPDATE SET first_s = ?2, told_s = ?3, told = ?4",
        [
            (one.key, one.first_s, one.told_s, json.dumps(sorted(one.told)))
            for key, one in after.items()
            if before.get(key) != one
        ],
    )


def silences(db: sqlite3.Connection, now_s: float, *, ended: bool = False) -> list[Silence]:
    """Those in force or to come, the one that ends first first; with `ended` the past ones, too."""
    rows = db.execute(
        "SELECT id, matches, author, why, start_s, end_s FROM silence WHERE end_s > ? ORDER BY end_s, id",
        (0 if ended else now_s,),
    )
    return [Silence(ident, json.loads(matches), *rest) for ident, matches, *rest in rows]


def incidents(db: sqlite3.Connection, window: Window, service: str | None, state: str | None) -> list[Incident]:
    """Those that lasted into `window`: open ones first, then the newest. `state` None: all but what is pending."""
    rows = db.execute(
        f"SELECT {_INCIDENT} FROM incident WHERE began_s < ? AND (ended_s IS NULL OR ended_s >= ?) "  # noqa: S608
        "AND (?3 IS NULL OR state = ?3) "
        "AND (?4 IS NULL OR json_extract(labels, '$.service') = ?4) "
        "ORDER BY ended_s IS NOT NULL, state <> ?5, began_s DESC, id DESC LIMIT ?6",
        (window.end_s, window.start_s, state, service, FIRING, MOST_INCIDENTS),
    )
    return [_incident(row) for row in rows]


def incident(db: sqlite3.Connection, ident: int) -> Incident | None:
    """One by its id."""
    row = db.execute(f"SELECT {_INCIDENT} FROM incident WHERE id = ?", (ident,)).fetchone()  # noqa: S608
    return None if row is None else _incident(row)


def timeline(db: sqlite3.Connection, ident: int) -> list[Moment]:
    """What happened to one, oldest first."""
    rows = db.execute(
        "SELECT ts_s, what, who, text FROM moment WHERE incident = ? ORDER BY ts_s DESC, rowid DESC LIMIT ?",
        (ident, MOST_MOMENTS),
    ).fetchall()
    return [Moment(*row) for row in reversed(rows)]


def forget(db: sqlite3.Connection, before_s: float) -> int:
    """Delete what ended before `before_s`; the number of incidents."""
    db.execute("DELETE FROM moment WHERE incident IN (SELECT id FROM incident WHERE ended_s < ?)", (before_s,))
    db.execute("DELETE FROM silence WHERE end_s < ?", (before_s,))
    return db.execute("DELETE FROM incident WHERE ended_s < ?", (before_s,)).rowcount


def _insert(db: sqlite3.Connection, one: Open) -> int:
    i = one.incident
    done = db.execute(
        "INSERT INTO incident (key, rule, severity, state, labels, summary, value, limit_value, unit, began_s, "
        "fired_s, ended_s, clear_since_s, silenced, inhibited) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            i.key, i.rule, i.severity, i.state, json.dumps(dict(i.labels), ensure_ascii=False), i.summary, i.value,
            i.limit, i.unit, i.began_s, i.fired_s, i.ended_s, one.clear_since_s, i.silenced, i.inhibited,
        ),
    )  # fmt: skip
    assert done.lastrowid is not None
    return done.lastrowid


def _update(db: sqlite3.Connection, ident: int, i: Incident, clear_since_s: float | None) -> None:
    db.execute(
        "UPDATE incident SET state = ?, summary = ?, value = ?, limit_value = ?, unit = ?, fired_s = ?, ended_s = ?, "
        "clear_since_s = ?, silenced = ?, inhibited = ? WHERE id = ?",
        (i.state, i.summary, i.value, i.limit, i.unit, i.fired_s, i.ended_s, clear_since_s, i.silenced, i.inhibited,
         ident),
    )  # fmt: skip


def _incident(row: Sequence[object]) -> Incident:
    values = list(row)
    values[5] = json.loads(str(values[5]))
    return Incident(*values)  # type: ignore[arg-type]  # the columns are its fields, in their order
