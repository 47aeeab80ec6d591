"""Pieces of roots that run on, and what happens when there are too many."""

from __future__ import annotations

from pitstop.model.record import Child, Record
from pitstop.rollup.gather import MOST_CHILDREN, MOST_ROOTS, Gather


def piece(start_ns: int, n: int, *, kind: str = "") -> Record:
    below = [Child("db", "SELECT 1", "ok", start_ns + i, start_ns + i + 1, 0, None) for i in range(n)]
    return Record("", kind, "GET /a", "", "", start_ns, start_ns + n, 0, 1, below, None)


def test_pieces_of_each_root_come_back_with_it_and_only_once() -> None:
    gather = Gather()
    for start_ns in (10, 20, 10):
        gather.add(piece(start_ns, 3))
    whole = gather.whole(piece(10, 1, kind="http"))
    assert whole is not None
    assert (len(whole.children), whole.lost) == (7, 0)
    assert gather.whole(piece(10, 1, kind="http")) is None
    assert list(gather.open) == [("", "GET /a", 20)]


def test_beyond_the_limit_the_root_that_was_heard_of_least_recently_loses_its_own_and_it_is_counted() -> None:
    gather = Gather()
    gather.add(piece(10, 300))
    for _ in range(MOST_CHILDREN // 250):
        gather.add(piece(20, 250))
    old, new = gather.whole(piece(10, 1, kind="http")), gather.whole(piece(20, 1, kind="http"))
    assert old is not None
    assert new is not None
    assert (len(old.children), old.lost) == (1, 300)
    assert (len(new.children), new.lost) == (MOST_CHILDREN + 1, 0)


def test_roots_that_never_end_are_bounded() -> None:
    gather = Gather()
    for start_ns in range(3 * MOST_ROOTS):
        gather.add(piece(start_ns, 1))
    assert len(gather.open) <= MOST_ROOTS
    assert gather._kept == sum(len(gathered.children) for gathered in gather.open.values())
