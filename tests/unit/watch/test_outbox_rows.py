"""The outbox's table, with a clock in the test's hand."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pitstop.model import NotFoundError
from pitstop.model.watching import DEAD, FIRING, PAGE, SENT, WAITING, Notification
from pitstop.watch import outbox_rows as rows
from pitstop.watch.bulkhead import Retry, _Bucket
from pitstop.watch.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

NOW_S = 1_790_000_000.0


def note(key: str) -> Notification:
    return Notification(key, FIRING, PAGE, f"title \ud800 {key}", "x", {}, NOW_S)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with Ledger(None).write() as connection:
        yield connection


def test_what_is_claimed_is_nobody_elses_until_the_claim_ends(db: sqlite3.Connection) -> None:
    rows.insert(db, ["ops"], note("a"), NOW_S)
    first = rows.claim(db, "ops", "one", NOW_S, NOW_S + 30)

    assert first is not None
    assert rows.claim(db, "ops", "two", NOW_S + 29, NOW_S + 60) is None
    assert rows.due_channels(db, NOW_S + 29) == []
    second = rows.claim(db, "ops", "two", NOW_S + 31, NOW_S + 60)
    assert second is not None
    assert (first.tries, second.tries) == (1, 2)
    assert first.delivery == second.delivery
    rows.sent(db, first.id, "one", NOW_S + 32)
    assert rows.one(db, first.id).state == WAITING, "who lost the claim has no say any more"
    rows.sent(db, first.id, "two", NOW_S + 33)
    assert rows.one(db, first.id).state == SENT


def test_claims_of_processes_that_are_gone_are_free(db: sqlite3.Connection) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, ours = socket.gethostname(), rows.owner_name()
    owners = {
        f"{here}:{gone.pid}:x": True,
        f"{here}:{os.getpid()}:earlier": True,
        f"{here}:nonsense:x": True,
        ours: False,
        f"{here}:{os.getppid()}:x": False,
        f"elsewhere:{gone.pid}:x": False,
    }
    for owner in owners:
        rows.insert(db, [owner], note("a"), NOW_S)
        rows.claim(db, owner, owner, NOW_S, NOW_S + 1000)
    rows.release_of_the_dead(db)

    assert set(rows.due_channels(db, NOW_S)) == {owner for owner, free in owners.items() if free}


def test_a_clock_that_went_back_a_day_stops_nothing(db: sqlite3.Connection) -> None:
    rows.insert(db, ["ops"], note("a"), NOW_S)
    rows.insert(db, ["ops"], note("b"), NOW_S)
    rows.claim(db, "ops", "one", NOW_S, NOW_S + 30)
    day_before_s = NOW_S - 86_400

    assert rows.due_channels(db, day_before_s) == ["ops"]
    claimed = [rows.claim(db, "ops", "two", day_before_s, day_before_s + 30) for _ in range(2)]
    assert [row.notification.key for row in claimed if row] == ["a", "b"]


def test_old_ones_are_forgotten_and_waiting_ones_never(db: sqlite3.Connection) -> None:
    for key, end in (("sent", rows.sent), ("dead", None), ("waiting", None)):
        (ident,) = rows.insert(db, ["ops"], note(key), NOW_S)
        if key != "waiting":
            rows.claim(db, "ops", "one", NOW_S, NOW_S + 30)
            if end:
                end(db, ident, "one", NOW_S)
            else:
                rows.dead(db, ident, "one", NOW_S, "no")
    rows.expire(db, NOW_S + rows.SENT_KEPT_S + 1)
    assert [one.state for one in rows.listed(db, None, 10)] == [WAITING, DEAD]
    rows.expire(db, NOW_S + rows.DEAD_KEPT_S + 1)
    assert [one.state for one in rows.listed(db, None, 10)] == [WAITING]
    with pytest.raises(NotFoundError, match="not dead"):
        rows.forget(db, rows.listed(db, None, 1)[0].id)


def test_retries_wait_twice_as_long_each_time_and_never_all_at_once() -> None:
    retry, rng = Retry(), random.Random(3)
    for tries in range(1, 41):
        whole_s = min(2.0 ** (tries - 1), 600.0)
        waits = [retry.wait_s(tries, rng) for _ in range(200)]
        assert whole_s / 2 <= min(waits) < max(waits) <= whole_s
        assert max(waits) - min(waits) > whole_s / 3


def test_a_bucket_gives_a_sixth_at_once_and_the_rest_evenly() -> None:
    bucket, now_s, taken = _Bucket(60, 0.0), 0.0, []
    while now_s < 60:
        wait_s = bucket.wait_s(now_s)
        if wait_s:
            now_s += wait_s + 1e-9
        else:
            bucket.take()
            taken.append(now_s)

    assert taken[:10] == [0.0] * 10
    assert taken[10] == pytest.approx(1.0)
    assert len(taken) == pytest.approx(70, abs=1)


class Outboxes(RuleBasedStateMachine):
    """Two owners claim, send, fail and die in any order: nothing is lost, doubled under another id, or overtaken."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(None)
        self.now_s = NOW_S
        self.put: list[tuple[int, str]] = []
        self.held: dict[str, list[rows.Row]] = {"one": [], "two": []}
        self.taken: list[tuple[str, int, str]] = []

    @rule(key=st.sampled_from("abc"))
    def insert(self, key: str) -> None:
        with self.ledger.write() as db:
            (ident,) = rows.insert(db, ["ops"], note(key), self.now_s)
        self.put.append((ident, key))

    @rule(owner=st.sampled_from(["one", "two"]))
    def claim(self, owner: str) -> None:
        with self.ledger.write() as db:
            row = rows.claim(db, "ops", owner, self.now_s, self.now_s + 30)
        if row is not None:
            self.held[owner].append(row)
            self.taken.append((row.notification.key, row.id, row.delivery))

    @rule(owner=st.sampled_from(["one", "two"]), what=st.sampled_from(["sent", "again", "dead", "die"]))
    def end(self, owner: str, what: str) -> None:
        held, self.held[owner] = self.held[owner], []
        with self.ledger.write() as db:
            for row in held:
                if what == "sent":
                    rows.sent(db, row.id, owner, self.now_s)
                elif what == "again":
                    rows.again(db, row.id, owner, self.now_s + 5, "no")
                elif what == "dead":
                    rows.dead(db, row.id, owner, self.now_s, "no")

    @rule(step_s=st.sampled_from([1.0, 10.0, 40.0]))
    def wait(self, step_s: float) -> None:
        self.now_s += step_s

    @invariant()
    def nothing_is_lost(self) -> None:
        with self.ledger.read() as db:
            assert {one.id for one in rows.listed(db, None, 1000)} == {ident for ident, _ in self.put}

    @invariant()
    def an_id_is_of_one_message_and_none_overtakes_another_of_its_group(self) -> None:
        assert len({delivery for _, _, delivery in self.taken}) == len({ident for _, ident, _ in self.taken})
        for key in "abc":
            first = list(dict.fromkeys(ident for one, ident, _ in self.taken if one == key))
            assert first == sorted(first)


TestOutboxes = Outboxes.TestCase
TestOutboxes.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
