"""Stacks as numbers of their frames: a stack of 50 frames takes 110 bytes, each frame's text is kept once."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from pitstop.model.series import OTHER
from pitstop.store.sqlite.packs import array_of, column_of, fitting
from pitstop.store.sqlite.tiers import FOREVER_S
from pitstop.store.stacks import OF_PROFILES, bounded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from pitstop.store.sqlite.names import Appended, Names

_DIGEST_BYTES = 16
OTHER_STACK = 1  # what rare stacks are added up as: made with the file
_AT_ONCE = 500  # ids in one question


def fill(connection: sqlite3.Connection) -> None:
    """Make OTHER_STACK, the first of all."""
    frame = (OTHER_STACK, OTHER)
    connection.execute("INSERT OR IGNORE INTO frame (id, text) VALUES (?, ?)", frame)
    stack = (OTHER_STACK, _digest(OTHER, OF_PROFILES), _encoded([OTHER_STACK], OF_PROFILES), FOREVER_S)
    connection.execute("INSERT OR IGNORE INTO stack (id, digest, frames, seen_s) VALUES (?, ?, ?, ?)", stack)


def _digest(stack: str, separator: str) -> bytes:
    return blake2b(f"{separator}{stack}".encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _encoded(ids: list[int], separator: str) -> bytes:
    column = fitting(ids)
    return separator.encode() + bytes((column.itemsize,)) + column_of(column)


def stack_id(connection: sqlite3.Connection, stack: str, separator: str, ts: int, names: Names, added: Appended) -> int:
    """The id of `stack`, whose frames are joined by `separator`."""
    digest = _digest(stack, separator)
    known = names.stacks.get(digest) or added.stacks.get(digest)
    if known is not None:
        return known
    row = connection.execute("SELECT id FROM stack WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        ids = [_frame_id(connection, frame, names, added) for frame in bounded(stack, separator).split(separator)]
        insert = "INSERT INTO stack (digest, frames, seen_s) VALUES (?, ?, ?)"
        row = (connection.execute(insert, (digest, _encoded(ids, separator), ts)).lastrowid,)
    added.stacks[digest] = known = int(row[0])
    return known


def _frame_id(connection: sqlite3.Connection, frame: str, names: Names, added: Appended) -> int:
    known = names.frames.get(frame) or added.frames.get(frame)
    if known is None:
        row = connection.execute("SELECT id FROM frame WHERE text = ?", (frame,)).fetchone()
        if row is None:
            row = (connection.execute("INSERT INTO frame (text) VALUES (?)", (frame,)).lastrowid,)
        added.frames[frame] = known = int(row[0])
    return known


def stacks_of(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, str]:
    """The texts of stacks."""
    wanted = list(ids)
    numbers: dict[int, tuple[str, list[int]]] = {}
    for at in range(0, len(wanted), _AT_ONCE):
        some = ",".join(map(str, wanted[at : at + _AT_ONCE]))
        for i, data in connection.execute(f"SELECT id, frames FROM stack WHERE id IN ({some})"):  # noqa: S608  numbers
            numbers[i] = chr(data[0]), array_of(data[1], data[2:]).tolist()
    texts = _texts(connection, {frame for _, frames in numbers.values() for frame in frames})
    return {i: separator.join([texts[frame] for frame in frames]) for i, (separator, frames) in numbers.items()}


def _texts(connection: sqlite3.Connection, ids: set[int]) -> dict[int, str]:
    wanted = list(ids)
    texts: dict[int, str] = {}
    for at in range(0, len(wanted), _AT_ONCE):
        some = ",".join(map(str, wanted[at : at + _AT_ONCE]))
        texts.update(connection.execute(f"SELECT id, text FROM frame WHERE id IN ({some})"))  # noqa: S608  numbers
    return texts


def frames_of(connection: sqlite3.Connection, where: str) -> set[int]:
    """Ids of the frames of all stacks for which `where` holds."""
    found = connection.execute(f"SELECT frames FROM stack WHERE {where}")  # noqa: S608  our own condition, of numbers
    return {frame for (data,) in found for frame in array_of(data[1], data[2:])}
