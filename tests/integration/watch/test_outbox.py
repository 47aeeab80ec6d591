"""Messages through real servers: some hang, some fail, one must not notice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model import NotFoundError
from pitstop.model.watching import DEAD, DEGRADED, DOWN, OK, RESOLVED, SENT, WAITING
from pitstop.watch.bulkhead import Retry
from pitstop.watch.ledger import Ledger
from pitstop.watch.outbox import Outbox
from pitstop.watch.roster import Channels
from pitstop.watch.secrets import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace


def test_a_message_arrives_signed_and_with_all_its_fields(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    told.add("ops", hook.url, secret="whsec_" + base64.b64encode(b"k" * 24).decode())
    told.outbox.start()
    told.put(kit.note(details=["one", "two"], points=[(1, 0.2), (2, None)]))
    told.until(lambda: told.states("ops") == [SENT])

    _, headers, body = hook.got[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    sent = hook.bodies[0]
    assert sent["id"] == headers["webhook-id"]
    assert (sent["key"], sent["state"], sent["severity"]) == ("k1", "firing", "page")
    assert (sent["value"], sent["limit"], sent["unit"]) == (1.2, 0.5, "s")
    assert sent["details"] == ["one", "two"]
    assert sent["points"] == [[1, 0.2], [2, None]]
    assert "Value 1.2 s, limit 500 ms" in sent["message"]


def test_three_dead_providers_delay_neither_the_caller_nor_the_fourth(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hanging, failing, slow, fine = provider(kit.hanging), provider(kit.status(500)), provider(kit.dripping), provider()
    for name, one in (("hanging", hanging), ("failing", failing), ("slow", slow)):
        told.add(name, one.url, timeout=0.5)
    told.add("fine", fine.url)
    told.outbox.start()
    began = time.monotonic()
    assert told.outbox.hand_over(kit.note())
    told.until(lambda: bool(fine.got))

    assert fine.got[0][0] - began < 1.0
    told.until(lambda: [told.states(name) for name in ("hanging", "failing", "slow")] == [[DEAD]] * 3, 15)
    assert [len(one.got) for one in (hanging, failing)] == [3, 3]
    dead = {one.channel: one for one in told.outbox.deliveries(state=DEAD)}
    assert "did not answer within 0.5 s" in dead["hanging"].problem
    assert dead["failing"].problem == "it answered 500"
    assert [dead[name].tries for name in dead] == [3, 3, 3]
    standing = {one.name: one for one in told.outbox.channels()}
    assert standing["fine"].state == OK
    assert (standing["failing"].state, standing["failing"].dead, standing["failing"].problem) == (
        DEGRADED, 1, "it answered 500",
    )  # fmt: skip


def test_each_try_of_a_message_carries_the_same_id(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider(kit.in_turn(503, 429))
    told.add("ops", hook.url)
    told.outbox.start()
    told.put(kit.note())
    told.until(lambda: told.states("ops") == [SENT])

    assert len(hook.got) == 3
    assert len({headers["webhook-id"] for _, headers, _ in hook.got}) == 1
    assert told.outbox.deliveries()[0].tries == 3


def test_retry_after_is_waited_for_and_holds_the_channel(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider(kit.in_turn((429, {"Retry_After": "1"})))
    told.add("ops", hook.url)
    told.outbox.start()
    told.put(kit.note("a"))
    told.put(kit.note("b"))
    told.until(lambda: told.states("ops") == [SENT, SENT])

    arrived = [at_s for at_s, _, _ in hook.got]
    assert len(arrived) == 3
    assert arrived[1] - arrived[0] >= 1.0, "nothing is sent before the provider's time, the other message neither"


def test_what_can_never_succeed_is_given_up_at_once_and_can_be_sent_again(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider(kit.in_turn(400, 302))
    told.add("ops", hook.url)
    told.outbox.start()
    told.put(kit.note())
    told.until(lambda: told.states("ops") == [DEAD])
    (dead,) = told.outbox.deliveries(state=DEAD)
    assert (dead.tries, dead.problem, dead.next_s) == (1, "it answered 400", None)

    assert told.outbox.redeliver(dead.id, "me").state == WAITING
    told.until(lambda: told.states("ops") == [DEAD])
    assert "redirect" in told.outbox.deliveries()[0].problem
    told.outbox.redeliver(dead.id, "me")
    told.until(lambda: told.states("ops") == [SENT])

    with pytest.raises(NotFoundError, match="not dead"):
        told.outbox.redeliver(dead.id, "me")
    with pytest.raises(NotFoundError):
        told.outbox.discard(dead.id + 1, "me")


def test_a_dead_one_is_discarded(told: Any, provider: Callable[..., Any], kit: SimpleNamespace) -> None:
    told.add("ops", provider(kit.status(400)).url)
    told.outbox.start()
    (ident,) = told.put(kit.note())
    told.until(lambda: told.states("ops") == [DEAD])
    told.outbox.discard(ident, "me")

    assert told.outbox.deliveries() == []
    assert told.outbox.channels()[0].state == OK


def test_private_addresses_are_refused_for_messages_and_for_tests_alike(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    told.add("sneaky", f"http://127.0.0.1:{hook.port}/")
    told.add("mail", f"json://127.0.0.1:{hook.port}/", kind="apprise")
    told.add("manager", f"http://[::ffff:127.0.0.1]:{hook.port}", kind="alertmanager")
    told.outbox.start()
    told.put(kit.note())
    told.until(lambda: [told.states(name) for name in ("sneaky", "mail", "manager")] == [[DEAD]] * 3)

    assert all("loopback" in one.problem for one in told.outbox.deliveries())
    assert [(one.ok, "loopback" in one.problem) for one in told.outbox.send_test()] == [(False, True)] * 3
    assert hook.got == []


def test_a_test_message_waits_and_tells_of_each_channel(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    fine = provider()
    told.add("fine", fine.url, severities=["page"], matches={"service": "other"})
    told.add("failing", provider(kit.status(503)).url)
    told.add("hanging", provider(kit.hanging).url, timeout="1s")
    began = time.monotonic()
    results = {one.channel: one for one in told.outbox.send_test(public_url="https://pitstop.example")}

    assert time.monotonic() - began < 4
    assert results["fine"].ok
    assert fine.bodies[0]["state"] == "test"
    assert (results["failing"].ok, results["failing"].problem) == (False, "it answered 503")
    assert "did not answer within 1 s" in results["hanging"].problem
    assert 0.9 < results["hanging"].took_s < 3
    assert told.outbox.deliveries() == []
    assert [one.channel for one in told.outbox.send_test("fine")] == ["fine"]
    with pytest.raises(NotFoundError, match="there are: failing, fine, hanging"):
        told.outbox.send_test("nobody")


def test_channels_get_what_their_severities_and_labels_ask_for(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    told.add("pages", hook.url, severities=["page"])
    told.add("shop", hook.url, matches={"service": "sh?p*"})
    told.add("off", hook.url, enabled=False)

    told.put(kit.note())
    told.put(kit.note(severity="ticket", labels={"rule": "x", "service": "other"}))
    told.put(kit.note(severity="info", labels={"rule": "x", "service": "shop-eu"}))

    assert [one.channel for one in reversed(told.outbox.deliveries())] == ["pages", "shop", "shop"]


def test_a_transaction_that_fails_leaves_no_message(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    told.add("ops", hook.url)
    told.outbox.start()

    def fail() -> None:
        with told.ledger.write() as db:
            told.outbox.put(db, kit.note())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert told.outbox.deliveries() == []


def test_messages_of_one_group_keep_their_order_while_the_first_is_retried(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider(kit.in_turn(500, 500))
    told.add("ops", hook.url)
    told.outbox.start()
    told.put(kit.note("a"))
    told.put(kit.note("a", state=RESOLVED, ended_s=1_790_000_100.0))
    told.until(lambda: told.states("ops") == [SENT, SENT])

    assert [body["state"] for body in hook.bodies] == ["firing", "firing", "firing", "resolved"]


def test_the_rate_limit_spreads_a_storm(told: Any, provider: Callable[..., Any], kit: SimpleNamespace) -> None:
    hook = provider()
    told.add("ops", hook.url, per_minute=120)
    told.outbox.start()
    for i in range(24):
        told.put(kit.note(f"k{i}"))
    told.until(lambda: len(hook.got) == 24)

    first_s = hook.got[0][0]
    assert hook.got[19][0] - first_s < 1.0, "a sixth of a minute's messages go at once"
    assert hook.got[23][0] - first_s > 1.5, "the others at two a second"


def test_a_stop_ends_in_its_time_and_loses_nothing(
    tmp_path: Path, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hanging, fine = provider(kit.hanging), provider()
    with kit.telling(tmp_path) as told:
        told.add("hanging", hanging.url, timeout="30s")
        told.add("mail", f"json://localhost:{hanging.port}/", kind="apprise", timeout="30s")
        told.outbox.start()
        told.put(kit.note("first"))
        told.until(lambda: len(hanging.got) >= 2)
        for i in range(80):
            assert told.outbox.hand_over(kit.note(f"k{i}"))
        began = time.monotonic()
        assert told.outbox.stop(3)
        assert time.monotonic() - began < 3.5
        assert not told.outbox.hand_over(kit.note("late")), "nobody would write it"
        assert len(told.outbox.deliveries(limit=1000)) == 162

    with kit.telling(tmp_path) as again:
        again.channels.delete("mail")
        again.add("hanging", fine.url, timeout="2s", per_minute=6000)
        again.outbox.start()
        again.until(lambda: again.states("hanging") == [SENT] * 81)
    assert len({body["key"] for body in fine.bodies}) == 81


@pytest.mark.parametrize("works", [True, False])
def test_a_ledger_in_memory_is_emptied_before_the_stop_or_says_that_it_was_not(
    provider: Callable[..., Any], kit: SimpleNamespace, *, works: bool
) -> None:
    hook = provider(kit.status(200 if works else 503))
    ledger = Ledger(None)
    channels = Channels(ledger, Vault())
    channels.save("ops", "webhook", hook.url, {"per_minute": 6000}, "test")
    outbox = Outbox(ledger, channels, egress_allow=["localhost"])
    outbox.start()
    for i in range(20):
        outbox.hand_over(kit.note(f"k{i}"))
    began = time.monotonic()

    assert outbox.stop(2) is works
    assert time.monotonic() - began < 2.5
    assert (len(hook.got) == 20) is works


def test_a_ledger_that_is_locked_costs_the_caller_nothing_and_the_stop_five_seconds(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    told.add("ops", provider().url)
    told.outbox.start()
    other = sqlite3.connect(told.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began = time.perf_counter()
    for i in range(1100):
        told.outbox.hand_over(kit.note(f"k{i}"))
    took_s = time.perf_counter() - began
    assert took_s / 1100 < 0.001
    assert told.outbox.dropped == 100
    began = time.monotonic()
    assert not told.outbox.stop(1), "it says that they are lost"
    assert time.monotonic() - began < 2
    other.execute("ROLLBACK")
    other.close()


def test_two_processes_send_each_message_once(
    tmp_path: Path, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    with kit.telling(tmp_path) as one, kit.telling(tmp_path) as two:
        one.add("ops", hook.url, per_minute=6000)
        for i in range(100):
            one.put(kit.note(f"k{i}"))
        one.outbox.start()
        two.outbox.start()
        one.until(lambda: one.states("ops") == [SENT] * 100)

    assert len(hook.got) == 100


def test_a_ledger_that_is_locked_after_sending_makes_nobody_send_again(
    tmp_path: Path, provider: Callable[..., Any], kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pitstop.watch.ledger._BUSY_MS", 20)
    unlocked = threading.Event()

    def lock(handler: Any, body: bytes) -> None:
        other = sqlite3.connect(tmp_path / "pitstop.watch.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN EXCLUSIVE")

        def unlock() -> None:
            other.execute("ROLLBACK")
            other.close()
            unlocked.set()

        threading.Timer(0.7, unlock).start()
        kit.status(200)(handler, body)

    hook = provider(lock)
    with kit.telling(tmp_path) as told:
        told.add("ops", hook.url)
        told.put(kit.note())
        told.outbox.start()
        assert unlocked.wait(10)
        told.until(lambda: told.states("ops") == [SENT])

    assert len(hook.got) == 1


def test_what_fails_within_us_is_a_dead_letter_without_the_words_of_the_error(
    told: Any, kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def send(self, *_: object) -> None:
            raise RuntimeError("https://hooks.example/T0KEN")

        def close(self) -> None:
            pass

    monkeypatch.setattr("pitstop.watch.outbox.sender_of", lambda *_: Broken())
    told.add("ops", "https://hooks.example/T0KEN")
    told.outbox.start()
    told.put(kit.note())
    told.until(lambda: told.states("ops") == [DEAD])

    assert told.outbox.deliveries()[0].problem == "it failed within us: RuntimeError"
    assert told.outbox.send_test()[0].problem == "it failed within us: RuntimeError"


def test_a_secret_that_signs_nothing_is_said_and_not_tried_for_hours(told: Any, kit: SimpleNamespace) -> None:
    told.add("ops", "https://hooks.example/", secret="whsec_not base64")
    told.outbox.start()
    told.put(kit.note())
    told.until(lambda: told.states("ops") == [DEAD])

    assert "is no base64" in told.outbox.deliveries()[0].problem


def test_a_notification_that_is_no_text_is_counted_and_takes_no_other_with_it(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    told.add("ops", hook.url)
    told.outbox.start()
    told.outbox.hand_over(kit.note("bad", details=[object()]))
    told.outbox.hand_over(kit.note("good"))
    told.until(lambda: told.states("ops") == [SENT])

    assert told.outbox.dropped == 1
    assert [body["key"] for body in hook.bodies] == ["good"]


SENDER = """
import sys, time
from pathlib import Path
from pitstop.watch.ledger import Ledger
from pitstop.watch.outbox import Outbox
from pitstop.watch.roster import Channels
from pitstop.watch.secrets import Vault

folder = Path(sys.argv[1])
ledger = Ledger(folder / "pitstop.watch.db")
channels = Channels(ledger, Vault(path=folder / "pitstop.watch.key"))
Outbox(ledger, channels, egress_allow=["localhost"]).start()
time.sleep(60)
"""


def test_a_kill_while_sending_loses_nothing_and_repeats_only_under_the_same_id(
    tmp_path: Path, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    """Three times a process is killed after a message or two; what is left is sent by the next."""
    arrived = threading.Event()

    def slowly(handler: Any, body: bytes) -> None:
        arrived.set()
        time.sleep(0.02)
        kit.status(200)(handler, body)

    hook = provider(slowly)
    with kit.telling(tmp_path) as told:
        told.add("ops", hook.url, per_minute=6000)
        for i in range(60):
            told.put(kit.note(f"k{i}"))
        for _ in range(3):
            arrived.clear()
            process = subprocess.Popen([sys.executable, "-c", SENDER, str(tmp_path)])
            assert arrived.wait(20)
            time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
        assert WAITING in told.states("ops")
        told.outbox.start()
        told.until(lambda: told.states("ops") == [SENT] * 60, 20)

    ids = [headers["webhook-id"] for _, headers, _ in hook.got]
    by_key: dict[str, set[str]] = {}
    for body in hook.bodies:
        by_key.setdefault(body["key"], set()).add(body["id"])
    assert set(by_key) == {f"k{i}" for i in range(60)}, "at least once"
    assert all(len(found) == 1 for found in by_key.values()), "a repeat has the id of the first"
    assert len(ids) <= 60 + 3, "a kill repeats no more than what was being sent"


def test_a_channel_that_fails_for_long_is_down(told: Any, provider: Callable[..., Any], kit: SimpleNamespace) -> None:
    told.add("ops", provider(kit.status(400)).url)
    told.outbox.start()
    told.put(kit.note())
    told.until(lambda: told.states("ops") == [DEAD])
    with told.ledger.write() as db:
        db.execute("UPDATE outbox SET created_s = created_s - 3600")

    assert [one.state for one in told.outbox.channels()] == [DOWN]


def test_what_waits_for_a_channel_that_is_removed_is_given_up_and_shown(tmp_path: Path, kit: SimpleNamespace) -> None:
    table = {"name": "ops", "kind": "webhook", "url": "http://localhost:1/"}
    with kit.telling(tmp_path, retry=Retry(first_s=60)) as told:
        told.channels.load([table], "rules.toml")
        told.put(kit.note())
        told.channels.load([], "rules.toml")
        told.outbox.start()
        told.until(lambda: [one.problem for one in told.outbox.deliveries(state=DEAD)] == ["its channel was removed"])


def test_a_message_of_another_version_is_given_up_and_the_next_one_sent(
    told: Any, provider: Callable[..., Any], kit: SimpleNamespace
) -> None:
    hook = provider()
    told.add("ops", hook.url)
    told.put(kit.note("old"))
    with told.ledger.write() as db:
        db.execute("UPDATE outbox SET body = '{\"shape\": 2}'")
    told.put(kit.note("new"))
    told.outbox.start()
    told.until(lambda: told.states("ops") == [DEAD, SENT])

    assert [body["key"] for body in hook.bodies] == ["new"]
