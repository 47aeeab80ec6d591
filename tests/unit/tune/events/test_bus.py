"""The bus within a process, and what events are on their way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import SettingError
from pitstop.tune.cache import Cache
from pitstop.tune.cache.events import Bus, Event, invalidate_on
from pitstop.tune.cache.events.commits import changed_tables
from pitstop.tune.cache.events.event import LONGEST_BYTES, decode, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(min_size=1, max_size=50), st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_an_event_arrives_as_it_was_sent(topic: str, body: dict[str, Any]) -> None:
    assert decode(encode(Event(topic, body, "me"))) == Event(topic, body, "me")


@given(st.binary(max_size=300))
def test_whatever_arrives_is_an_event_or_nothing(raw: bytes) -> None:
    event = decode(raw)
    assert event is None or isinstance(event.topic, str)


def test_what_is_no_event_is_dropped() -> None:
    assert decode(b"[" * 100_000) is None
    assert decode(b'{"topic": ""}') is None
    assert decode(b'{"topic": "a", "body": 3}') is None
    assert decode(b"table.orders") == Event("table.orders", {})


@pytest.mark.parametrize(
    ("topic", "body"), [("", {}), ("x" * 201, {}), ("x", {"a": object()}), ("x", {"a": "y" * LONGEST_BYTES})]
)
def test_what_cannot_be_carried_is_refused_where_it_is_published(topic: str, body: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Bus().publish(topic, body)


def test_subscribers_get_what_they_asked_for_until_they_end_it() -> None:
    bus, got = Bus(), []
    end = bus.subscribe("table.*", lambda event: got.append(event.topic))
    bus.subscribe("user", lambda event: got.append(event.body["id"]))
    for topic in ("table.orders", "tables", "user"):
        bus.publish(topic, {"id": 7})
    end()
    bus.publish("table.orders")
    assert got == ["table.orders", 7]


def test_a_subscriber_that_fails_costs_neither_the_others_nor_the_publisher() -> None:
    bus, got = Bus(), []
    bus.subscribe("*", lambda _: 1 / 0)
    bus.subscribe("*", got.append)
    bus.publish("a")
    assert [event.topic for event in got] == ["a"]
    assert bus.failed == 1


class Broken:
    def send(self, *_: Any) -> None:
        raise ConnectionError

    receive: Any = send

    def close(self) -> None: ...


def test_too_many_events_for_a_carrier_that_is_away_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitstop.tune.cache.events.bus.MOST_WAITING", 10)
    bus = Bus(Broken())
    for _ in range(15):
        bus.publish("a")
    assert bus.dropped == 5
    assert not bus.flush(0.01)
    bus.close(0.1)


def test_an_event_voids_tags_of_the_hosts_choice() -> None:
    bus, cache = Bus(), Cache()
    end = invalidate_on(bus, cache, "user.changed", lambda event: [f"user:{event.body['id']}"])
    made: list[int] = []

    @cache.cached(tags=["user:{number}"])
    def user(number: int) -> int:
        made.append(number)
        return number

    user(1), user(2)
    bus.publish("user.changed", {"id": 1})
    user(1), user(2)
    end()
    bus.publish("user.changed", {"id": 1})
    user(1)
    assert made == [1, 2, 1]


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("INSERT INTO orders (id) VALUES (1)", {"orders"}),
        ("insert or replace into Orders values (1)", {"orders"}),
        ('UPDATE "Shop"."My ""Orders""" SET a = 1', {'My "Orders"'}),
        ("UPDATE ONLY shop.orders SET a = 1 FROM users", {"orders"}),
        ("DELETE FROM `orders` WHERE id = 1", {"orders"}),
        ("WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone", {"a", "b"}),
        ("MERGE INTO stock USING news ON 1 = 1", {"stock"}),
        ("TRUNCATE TABLE logs", {"logs"}),
        ("SELECT * FROM orders", set()),
        ("SELECT updated FROM inserts", set()),
    ],
)
def test_tables_that_a_statement_writes_are_found(statement: str, tables: set[str]) -> None:
    assert changed_tables(statement) == tables
