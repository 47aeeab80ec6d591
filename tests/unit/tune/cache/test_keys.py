"""Keys: the same in every process, one for equal calls, never one for two."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import subprocess
import sys
import uuid
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import CacheKeyError
from pitstop.tune.cache.keys import CallKey, canonical, escape, full_key, prefix


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int


class Account:
    def __init__(self, number: int) -> None:
        self.number = number

    def __cache_key__(self) -> int:
        return self.number


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.datetimes()
    | st.dates() | st.timedeltas() | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal and of the same types, however deep; all that is no number is the same as itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        ours = {(type(key), key): value for key, value in one.items()}
        theirs = {(type(key), key): value for key, value in other.items()}
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(one, (float, decimal.Decimal, dt.datetime)):
        return repr(one) == repr(other)
    return bool(one == other)


@given(plain, plain)
def test_two_values_have_one_text_exactly_when_they_are_the_same(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == same(one, other)


@given(plain)
def test_a_text_is_ascii_and_does_not_change(value: Any) -> None:
    assert canonical(value) == canonical(value)
    assert canonical(value).isascii()


def test_texts_are_what_they_were_in_earlier_releases() -> None:
    values = [
        (1, "ä\u0378", b"\0", None, True, 1.0, -0.0), {"b": 1, "a": [2]}, {3, 1, 2}, frozenset({"x"}), Colour.RED,
        Point(1, 2), Account(7), dt.date(2026, 1, 2), dt.timedelta(1, 2, 3), decimal.Decimal("1.10"),
        uuid.UUID(int=1), pathlib.PurePosixPath("/a/b"), int, 10**5000,
    ]  # fmt: skip
    texts = [canonical(value) for value in values]
    assert texts[:4] == [
        "(1,'\\xe4\\u0378',b'\\x00',None,True,1.0,-0.0,)",
        "{'a':[2],'b':1}",
        "set{1,2,3}",
        "frozenset{'x'}",
    ]
    assert texts[4].endswith("Colour.RED")
    assert texts[5].endswith("Point<x=1,y=2>")
    assert texts[6].endswith("Account<7>")
    assert texts[7:12] == [
        "date<2026-01-02>", "timedelta<1,2,3>", "Decimal<1.10>", "UUID<00000000-0000-0000-0000-000000000001>",
        "path<'/a/b'>",
    ]  # fmt: skip
    assert texts[12] == "<builtins.int>"
    assert texts[13].startswith("0x")


def test_a_key_is_the_same_in_a_process_with_another_hash_seed() -> None:
    code = (
        "from pitstop.tune.cache.keys import CallKey\n"
        "def f(a, b=2, *c, d=4, **e): ...\n"
        "print(CallKey(f)((frozenset({'x','y','z'}), {'k','l'}), {'d': {'q': 1, 'p': 2}, 'z': 1, 'y': 2}))"
    )
    texts = {
        subprocess.check_output([sys.executable, "-c", code], env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": "src"})
        for seed in range(4)
    }
    assert len(texts) == 1


def call(a: int, b: int = 2, *more: int, c: int = 3, **others: int) -> None:
    """Take arguments in every way."""


def test_the_same_call_written_differently_has_one_key() -> None:
    key = CallKey(call)
    assert len({key((1,), {}), key((1, 2), {}), key((), {"a": 1}), key((1,), {"c": 3}), key((), {"b": 2, "a": 1})}) == 1
    others = [key((1, 3), {}), key((1, 2, 3), {}), key((1,), {"c": 4}), key((1,), {"z": 1}), key((1, 2, 3, 4), {})]
    assert len({*others, key((1,), {})}) == 6


def two(a: object, b: object = 2) -> None:
    """Take two."""


@pytest.mark.parametrize("first", [1, 1.0, True, "1", (1,), [1]])
def test_types_make_a_difference(first: object) -> None:
    key = CallKey(two)
    others = [key((other,), {}) for other in (1, 1.0, True, "1", (1,), [1])]
    assert others.count(key((first,), {})) == 1
    assert key((first,), {}) == key((), {"b": 2, "a": first}) == key((first, 2), {})


def test_ignored_arguments_make_no_difference() -> None:
    key = CallKey(two, ignore=["b"])
    assert key((1, object()), {}) == key((1,), {"b": threading_like()})
    with pytest.raises(CacheKeyError, match=r"ignore=\['c'\] names no parameter.*\['a', 'b'\]"):
        CallKey(two, ignore=["c"])


def threading_like() -> object:
    """An object that no key can hold."""
    return object()


def test_what_no_key_can_hold_is_refused_by_name() -> None:
    with pytest.raises(CacheKeyError, match=r"two: builtins\.object cannot be part of a cache key.*ignore="):
        CallKey(two)((object(),), {})
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(CacheKeyError, match="nested more than 32 deep"):
        canonical(cycle)
    with pytest.raises(CacheKeyError, match="has no name"):
        canonical(lambda: None)


def test_raising_the_version_changes_every_key() -> None:
    assert CallKey(two, version="2")((1,), {}) != CallKey(two)((1,), {})


@given(st.text(), st.text(), st.text(), st.text())
def test_no_two_regions_or_tenants_share_a_key(region: str, tenant: str, other_region: str, other_tenant: str) -> None:
    one, other = prefix("n", region, tenant), prefix("n", other_region, other_tenant)
    assert (one == other) == ((region, tenant) == (other_region, other_tenant))
    assert not full_key(one, "k").startswith(other + ":") or one == other


@given(st.text(), st.text())
def test_escaping_keeps_texts_apart(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@given(st.text() | st.integers(), st.text(min_size=201) | st.integers() | st.text())
def test_texts_and_values_have_keys_of_their_own(one: object, other: object) -> None:
    assert (full_key("p", one) == full_key("p", other)) == (one == other and type(one) is type(other))


def test_long_keys_become_short() -> None:
    assert len(full_key("p", "x" * 10_000)) < 50
    assert len(full_key("p", tuple(range(1000)))) < 50


def test_times_of_two_zones_that_agree_by_chance_are_two_keys() -> None:
    zones = (zoneinfo.ZoneInfo("Africa/Lagos"), zoneinfo.ZoneInfo("Europe/Berlin"), dt.timezone(dt.timedelta(hours=1)))
    for value in (dt.datetime(2026, 1, 5, 12), dt.time(12)):  # noqa: DTZ001  zones are put in below
        texts = [canonical(value.replace(tzinfo=zone)) for zone in zones]
        assert len({canonical(value), *texts}) == 4
        assert texts == [canonical(value.replace(tzinfo=zone)) for zone in zones]
        assert not any(" at 0x" in text for text in texts)


def test_a_zone_of_the_hosts_own_is_known_by_its_type_and_what_it_calls_itself() -> None:
    class Shop(dt.tzinfo):
        def utcoffset(self, _: object) -> dt.timedelta:
            return dt.timedelta(hours=1)

        dst = utcoffset

        def tzname(self, _: object) -> str:
            return "shop's"

    at = dt.datetime(2026, 1, 5, 12, tzinfo=Shop())
    assert canonical(at) == canonical(at.replace(tzinfo=Shop()))
    assert canonical(at) != canonical(at.replace(tzinfo=dt.timezone(dt.timedelta(hours=1), "shop's")))
