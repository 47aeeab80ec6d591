"""The outbox's table: what waits, what was sent, what was given up; one row a notification and channel."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model import NotFoundError
from pitstop.model.watching import DEAD, SENT, WAITING, Delivery
from pitstop.watch.message import from_json, plain, to_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from pitstop.model.watching import Notification

SENT_KEPT_S = 7 * 86_400
DEAD_KEPT_S = 30 * 86_400
LONGEST_WAIT_S = 4000.0  # Retry-After's hour and a tenth; what waits for longer does so because the clock went back
# Its time has come and nobody has it; a time further off than any wait is one of a clock that was wrong.
_DUE = (
    f"(next_s <= :now OR next_s > :now + {LONGEST_WAIT_S}) "
    f"AND (claimed_by = '' OR claimed_until_s < :now OR claimed_until_s > :now + {LONGEST_WAIT_S})"
)
_OURS: set[str] = set()  # owners of this very process
_COLUMNS = "id, channel, key, title, state, tries, created_s, next_s, done_s, problem"


class Row(NamedTuple):
    """One that was claimed, to be sent now."""

    id: int
    delivery: str
    tries: int
    created_s: float
    notification: Notification


def owner_name() -> str:
    """Of this process, so that another can tell whether it is still there."""
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    _OURS.add(name)
    return name


def new_delivery() -> str:
    """An id that no other delivery has: what a receiver tells repeats by."""
    return f"msg_{secrets.token_hex(12)}"


def insert(db: sqlite3.Connection, channels: Iterable[str], note: Notification, now_s: float) -> list[int]:
    """A row for each of `channels`; their ids."""
    body = to_json(note)
    ids = []
    for channel in channels:
        done = db.execute(
            "INSERT INTO outbox (channel, key, title, body, delivery, state, created_s, next_s) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (channel, note.key, plain(note.title, 200), body, new_delivery(), WAITING, now_s, now_s),
        )
        assert done.lastrowid is not None
        ids.append(done.lastrowid)
    return ids


def due_channels(db: sqlite3.Connection, now_s: float) -> list[str]:
    """Those with something to send now."""
    return [
        row[0]
        for row in db.execute(
            f"SELECT DISTINCT channel FROM outbox WHERE state = 'waiting' AND {_DUE}",  # noqa: S608  our words
            {"now": now_s},
        )
    ]


def claim(db: sqlite3.Connection, channel: str, owner: str, now_s: float, until_s: float) -> Row | None:
    """The oldest that is due, now `owner`'s until `until_s`; each group's messages in their order."""
    row = db.execute(
        "SELECT id, delivery, tries + 1, created_s, body FROM outbox o "  # noqa: S608  our words
        f"WHERE channel = :channel AND state = 'waiting' AND {_DUE} AND NOT EXISTS (SELECT 1 FROM outbox p "
        "WHERE p.channel = :channel AND p.state = 'waiting' AND p.key = o.key AND p.id < o.id) ORDER BY id LIMIT 1",
        {"channel": channel, "now": now_s},
    ).fetchone()
    if row is None:
        return None
    db.execute(
        "UPDATE outbox SET claimed_by = ?, claimed_until_s = ?, tries = tries + 1 WHERE id = ?",
        (owner, until_s, row[0]),
    )
    try:
        return Row(row[0], row[1], row[2], row[3], from_json(row[4]))
    except ValueError:
        dead(db, row[0], owner, now_s, "it cannot be read: another version of Pitstop wrote it")
        return None


def waiting(db: sqlite3.Connection) -> int:
    """How many are to be sent, now or later."""
    found: int = db.execute("SELECT count(*) FROM outbox WHERE state = 'waiting'").fetchone()[0]
    return found


def next_due_s(db: sqlite3.Connection, channel: str, now_s: float) -> float | None:
    """When the next of `channel` that does not yet wait for something else is due, Unix time; None: none is to come."""
    found: float | None = db.execute(
        "SELECT min(next_s) FROM outbox WHERE channel = ? AND state = 'waiting' AND next_s > ?", (channel, now_s)
    ).fetchone()[0]
    return found


def sent(db: sqlite3.Connection, ident: int, owner: str, now_s: float) -> None:
    """It was taken."""
    _end(db, ident, owner, (SENT, None, now_s, ""))


def again(db: sqlite3.Connection, ident: int, owner: str, next_s: float, problem: str) -> None:
    """It was not, and is tried again at `next_s`."""
    _end(db, ident, owner, (WAITING, next_s, None, problem))


def dead(db: sqlite3.Connection, ident: int, owner: str, now_s: float, problem: str) -> None:
    """It was not, and is given up."""
    _end(db, ident, owner, (DEAD, None, now_s, problem))


def _end(db: sqlite3.Connection, ident: int, owner: str, ending: tuple[str, float | None, float | None, str]) -> None:
    db.execute(
        "UPDATE outbox SET state = ?, next_s = ?, done_s = ?, problem = ?, claimed_by = '', claimed_until_s = NULL "
        "WHERE id = ? AND claimed_by = ?",
        (*ending, ident, owner),
    )


def bury(db: sqlite3.Connection, channel: str, now_s: float, problem: str) -> int:
    """Give up whatever waits for `channel`; how many there were."""
    return db.execute(
        "UPDATE outbox SET state = ?, done_s = ?, next_s = NULL, problem = ?, claimed_by = '', claimed_until_s = NULL "
        "WHERE channel = ? AND state = ?",
        (DEAD, now_s, problem, channel, WAITING),
    ).rowcount


def release(db: sqlite3.Connection, owner: str) -> None:
    """Whatever `owner` has claimed is anybody's."""
    db.execute("UPDATE outbox SET claimed_by = '', claimed_until_s = NULL WHERE claimed_by = ?", (owner,))


def release_of_the_dead(db: sqlite3.Connection) -> None:
    """What processes of this machine had claimed that are gone is anybody's; of other machines, when its time is up."""
    here = f"{socket.gethostname()}:"
    for (owner,) in db.execute("SELECT DISTINCT claimed_by FROM outbox WHERE claimed_by != ''").fetchall():
        if owner not in _OURS and owner.startswith(here) and not _alive(owner.removeprefix(here).partition(":")[0]):
            release(db, owner)


def _alive(pid: str) -> bool:
    """Our own number says that it is not: a container's first process is 1 each time it starts."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        pass
    return int(pid) != os.getpid()


def expire(db: sqlite3.Connection, now_s: float) -> None:
    """Forget what was sent a week ago, or given up a month ago."""
    db.execute("DELETE FROM outbox WHERE state = ? AND done_s < ?", (SENT, now_s - SENT_KEPT_S))
    db.execute("DELETE FROM outbox WHERE state = ? AND done_s < ?", (DEAD, now_s - DEAD_KEPT_S))


def listed(db: sqlite3.Connection, state: str | None, limit: int) -> list[Delivery]:
    """Newest first."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE ?1 IS NULL OR state = ?1 ORDER BY id DESC LIMIT ?2",  # noqa: S608  ours
        (state, limit),
    )
    return [Delivery(*row) for row in found]


def one(db: sqlite3.Connection, ident: int) -> Delivery:
    """The one of that id. Raises NotFoundError."""
    row = db.execute(f"SELECT {_COLUMNS} FROM outbox WHERE id = ?", (ident,)).fetchone()  # noqa: S608  our words
    if row is None:
        raise NotFoundError(f"there is no delivery {ident}; it may have been forgotten")
    return Delivery(*row)


def revive(db: sqlite3.Connection, ident: int, now_s: float) -> Delivery:
    """A dead one waits again, with all of its tries. Raises NotFoundError."""
    if one(db, ident).state != DEAD:
        raise NotFoundError(f"delivery {ident} is not dead, and only dead ones are sent again by hand")
    db.execute(
        "UPDATE outbox SET state = ?, tries = 0, next_s = ?, done_s = NULL WHERE id = ?", (WAITING, now_s, ident)
    )
    return one(db, ident)


def forget(db: sqlite3.Connection, ident: int) -> None:
    """A dead one is no more. Raises NotFoundError."""
    if one(db, ident).state != DEAD:
        raise NotFoundError(f"delivery {ident} is not dead, and only dead ones are discarded")
    db.execute("DELETE FROM outbox WHERE id = ?", (ident,))


class Figures(NamedTuple):
    """How one channel stands. `failing_s`: when the first of the failures began that no success has followed."""

    waiting: int
    dead: int
    sent: int
    last_sent_s: float | None
    problem: str
    failing_s: float | None


def figures(db: sqlite3.Connection, channels: Sequence[str]) -> dict[str, Figures]:
    """Of each of `channels`."""
    out = {}
    for channel in channels:
        counted = {
            state: (number, last_s)
            for state, number, last_s in db.execute(
                "SELECT state, count(*), max(done_s) FROM outbox WHERE channel = ? GROUP BY state", (channel,)
            )
        }
        last_sent_s = counted.get(SENT, (0, None))[1]
        failed = db.execute(
            "SELECT problem, min(created_s), max(id) FROM outbox WHERE channel = ?1 AND state != 'sent' "
            "AND problem != '' AND (?2 IS NULL OR coalesce(done_s, ?3) > ?2)",  # of the newest: SQLite's bare column
            (channel, last_sent_s, float("inf")),
        ).fetchone()
        out[channel] = Figures(
            counted.get(WAITING, (0, None))[0],
            counted.get(DEAD, (0, None))[0],
            counted.get(SENT, (0, None))[0],
            last_sent_s,
            failed[0] or "",
            failed[1],
        )
    return out
