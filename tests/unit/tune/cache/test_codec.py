"""Sealed envelopes: everything comes back as it was, and nothing else is believed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import os
import pickle
import zlib
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import CacheValueError, SettingError
from pitstop.tune.cache import values
from pitstop.tune.cache.codec import COMPRESSED, Codec
from pitstop.tune.cache.envelope import Envelope
from pitstop.tune.cache.trend import Trend

SECRET = "0123456789abcdef"
NEWER = "fedcba9876543210"


@dataclasses.dataclass
class Basket:
    items: tuple[int, ...]
    owner: str


hashable = (
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.uuids() | st.dates() | st.timedeltas()
)
anything = st.recursive(
    hashable | st.floats(allow_nan=False) | st.decimals(allow_nan=False) | st.datetimes() | st.times(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashable, max_size=3)
        | st.frozensets(hashable, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
    ),
    max_leaves=10,
)


def codec(*, packed: bool = True, **options: Any) -> Codec:
    made = Codec(**options)
    made._values.msgpack = packed
    return made


def sealed(value: object, made: Codec, key: str = "k") -> bytes:
    return made.seal(
        key, Envelope(value, 1.0, 2.0, 3.0, 0.5, tags=("a", "b"), versions=(1, 2), trend=Trend(1, 0, 3, 4))
    )


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("options", [{}, {"secret": SECRET}, {"secret": SECRET, "encrypt": True}])
@given(value=anything)
def test_what_was_sealed_comes_back_as_it_was(packed: bool, options: dict[str, Any], value: object) -> None:
    made = codec(packed=packed, **options)
    envelope = Envelope(value, 1.5, 2.0, 3.0, 0.5, value is None, ("a",), (7,), Trend(1.0, 0.5, 3.0, 4.0))
    opened = made.open("key ä", made.seal("key ä", envelope))
    assert opened is not None
    assert opened == envelope
    assert repr(opened) == repr(envelope) or "{" in repr(value)  # the order of sets is nobody's


@pytest.mark.parametrize("packed", [True, False])
def test_numbers_that_are_none_zones_and_the_hosts_own_types_survive(packed: bool) -> None:
    made = codec(packed=packed, types=[Basket])
    berlin = dt.datetime(2026, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1)
    value = {"n": math.nan, "i": [math.inf, -math.inf], "z": berlin, "b": Basket((1, 2), "x"), "\0": {"\0": 1}}
    opened = made.open("k", sealed(value, made))
    assert opened is not None
    assert math.isnan(opened.value.pop("n"))
    assert value.pop("n") is not None
    assert opened.value == value
    assert opened.value["z"].utcoffset() == berlin.utcoffset() == dt.timedelta(hours=1)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("value", [object(), Basket((1,), "x"), {"a": [lambda: None]}, "\ud800", float, 1j])
def test_what_has_no_bytes_is_refused_with_the_next_step(packed: bool, value: object) -> None:
    with pytest.raises(CacheValueError):
        sealed(value, codec(packed=packed))
    with pytest.raises(CacheValueError, match=r"Basket.*types=\[Basket\]"):
        sealed(Basket((1,), "x"), codec(packed=packed))


@pytest.mark.parametrize("packed", [True, False])
def test_a_value_that_contains_itself_is_refused(packed: bool) -> None:
    cycle: list[object] = []
    cycle.append((cycle,))
    with pytest.raises(CacheValueError):
        sealed(cycle, codec(packed=packed))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/tmp/pitstop-was-here",)


@pytest.mark.parametrize("made", [codec(), codec(secret=SECRET), codec(secret=SECRET, encrypt=True)])
def test_planted_pickles_and_noise_are_no_value_and_run_nothing(made: Codec) -> None:
    head = sealed(1, made)[:6]
    for planted in (pickle.dumps(Bomb()), head + pickle.dumps(Bomb()), b"", b"\x01", head, os.urandom(200)):
        assert made.open("k", planted) is None
    assert not os.path.exists("/tmp/pitstop-was-here")  # noqa: PTH110  as above


@pytest.mark.parametrize("made", [codec(), codec(secret=SECRET), codec(secret=SECRET, encrypt=True)])
def test_one_bit_changed_or_another_key_makes_it_no_value(made: Codec) -> None:
    blob = sealed({"balance": 10}, made, "tenant-a:balance")
    assert made.open("tenant-b:balance", blob) is None
    for at in range(len(blob)):
        for bit in range(8):
            changed = bytearray(blob)
            changed[at] ^= 1 << bit
            assert made.open("tenant-a:balance", bytes(changed)) is None
    for cut in range(len(blob)):
        assert made.open("tenant-a:balance", blob[:cut]) is None


def test_who_knows_no_secret_can_plant_nothing_where_there_is_one() -> None:
    signed, open_ = codec(secret=SECRET), codec()
    assert signed.open("k", sealed(1, open_)) is None
    assert signed.open("k", sealed(1, codec(secret=NEWER))) is None


def test_secrets_rotate_old_values_are_read_until_the_old_secret_is_gone() -> None:
    before, during, after = (
        codec(secret=SECRET, encrypt=True),
        codec(secret=[NEWER, SECRET], encrypt=True),
        codec(secret=NEWER),
    )
    blob = sealed("old", before)
    assert during.open("k", blob) == before.open("k", blob)
    assert after.open("k", blob) is None
    assert after.open("k", sealed("new", during)) is not None


def test_encrypted_bytes_do_not_show_the_value() -> None:
    assert b"confidential" in sealed("confidential", codec(secret=SECRET))
    one, other = (sealed("confidential", codec(secret=SECRET, encrypt=True)) for _ in range(2))
    assert b"confidential" not in one
    assert one != other


def test_large_values_are_compressed_where_that_helps() -> None:
    made = codec()
    blob = sealed("x" * 100_000, made)
    assert len(blob) < 1000
    assert blob[1] & COMPRESSED
    assert not sealed(os.urandom(5000), made)[1] & COMPRESSED
    assert not sealed("x" * 100, made)[1] & COMPRESSED


def test_a_compressed_bomb_is_no_value_and_takes_no_memory() -> None:
    made = codec(most_bytes=100_000)
    with pytest.raises(CacheValueError, match="100000 at most"):
        sealed("x" * 200_000, made)
    assert made.open("k", sealed("x" * 10_000_000, codec())) is None


@pytest.mark.parametrize("packed", [True, False])
def test_nesting_without_end_is_no_value(packed: bool) -> None:
    made = codec(packed=packed)
    value: bytes = b"\xc0" if packed else b"1"
    for _ in range(3000):
        extension = b"\xc9" + len(value).to_bytes(4, "big") + b"\x01" + value  # one within another
        value = extension if packed else b"[" + value + b"]"
    with pytest.raises(Exception, match=r".*"):
        made._values.read(value, packed=packed)
    body = zlib.compress(value)
    assert made.open("k", sealed(1, made)[:6] + body) is None


@pytest.mark.parametrize("secret", ["short", ["0123456789abcdef", "x"]])
def test_short_secrets_are_refused(secret: Any) -> None:
    with pytest.raises(SettingError, match="16 characters"):
        Codec(secret=secret)
    with pytest.raises(SettingError, match="needs secret="):
        Codec(encrypt=True)


def test_a_process_without_msgpack_writes_json_and_takes_packed_values_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = sealed((1, 2), codec())
    monkeypatch.setattr(values, "msgpack", None)
    made = Codec()
    assert made.open("k", packed) is None
    blob = sealed((1, 2), made)
    assert json.loads(blob[6:-16])[-1] == {"\0": [1, [1, 2]]}
    assert made.open("k", blob).value == (1, 2)  # type: ignore[union-attr]  # a failure shows it


def test_types_that_cannot_be_taken_apart_are_refused_at_once() -> None:
    with pytest.raises(SettingError, match="neither a dataclass nor a pydantic model"):
        Codec(types=[object])
