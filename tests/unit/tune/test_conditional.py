"""Conditional and range requests, by the rules of RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.conditional import (
    accepted_encodings,
    evaluate,
    fields,
    http_date,
    lists_etag,
    parse_date_s,
    wanted_part,
)

T = 1_800_000_000.7
NOW, BEFORE, AFTER = http_date(T), http_date(T - 60), http_date(T + 60)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({b"if-none-match": b'"a"'}, 304),
        ({b"if-none-match": b'W/"a"'}, 304),
        ({b"if-none-match": b'"x", "a"'}, 304),
        ({b"if-none-match": b"*"}, 304),
        ({b"if-none-match": b'"b"'}, 200),
        ({b"if-none-match": b'"b"', b"if-modified-since": AFTER}, 200),  # the date is not looked at
        ({b"if-none-match": b'"a"', b"if-modified-since": BEFORE}, 304),
        ({b"if-modified-since": NOW}, 304),
        ({b"if-modified-since": AFTER}, 304),
        ({b"if-modified-since": BEFORE}, 200),
        ({b"if-modified-since": b"yesterday"}, 200),
        ({b"if-match": b'"a"'}, 200),
        ({b"if-match": b"*"}, 200),
        ({b"if-match": b'W/"a"'}, 412),
        ({b"if-match": b'"b"'}, 412),
        ({b"if-match": b'"a"', b"if-none-match": b'"a"'}, 304),
        ({b"if-unmodified-since": BEFORE}, 412),
        ({b"if-unmodified-since": NOW}, 200),
        ({b"if-match": b'"a"', b"if-unmodified-since": BEFORE}, 200),
        ({b"if-unmodified-since": b"?"}, 200),
    ],
)
def test_preconditions_are_evaluated_in_order(headers: dict[bytes, bytes], status: int) -> None:
    assert evaluate(headers, b'"a"', T) == status


def test_what_has_no_validators_matches_nothing() -> None:
    assert evaluate({b"if-none-match": b'"a"', b"if-modified-since": NOW}, None, None) == 200
    assert evaluate({b"if-match": b'"a"'}, None, None) == 412
    assert not lists_etag(b"a", b'"a"')


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        (b"bytes=0-9", (0, 10)),
        (b"bytes=90-", (90, 100)),
        (b"bytes=90-1000", (90, 100)),
        (b"bytes=-10", (90, 100)),
        (b"bytes=-1000", (0, 100)),
        (b"Bytes=1-1", (1, 2)),
        (b"bytes=100-", (-1, -1)),
        (b"bytes=-0", (-1, -1)),
        (b"bytes=5-4", None),
        (b"bytes=-", None),
        (b"bytes=0-1,5-6", None),
        (b"items=0-1", None),
        (b"bytes=0-" + b"9" * 40, None),
    ],
)
def test_one_range_is_served_and_nonsense_ignored(asked: bytes, part: tuple[int, int] | None) -> None:
    assert wanted_part({b"range": asked}, 100, b'"a"', T) == part


@pytest.mark.parametrize(
    ("if_range", "same"),
    [(b'"a"', True), (b'W/"a"', False), (b'"b"', False), (NOW, True), (BEFORE, False), (AFTER, False), (b"?", False)],
)
def test_a_range_of_something_else_is_the_whole(if_range: bytes, *, same: bool) -> None:
    part = wanted_part({b"range": b"bytes=0-0", b"if-range": if_range}, 100, b'"a"', T)
    assert part == ((0, 1) if same else None)


def test_weights_of_encodings_are_read() -> None:
    assert accepted_encodings(b"gzip;q=0, BR ; q=0.5,zstd, *;q=x") == {b"gzip": 0, b"br": 0.5, b"zstd": 1, b"*": 0}
    assert accepted_encodings(None) == {}


def test_repeated_fields_are_joined() -> None:
    assert fields([(b"Accept", b"a"), (b"accept", b"b")]) == {b"accept": b"a, b"}


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 1000))
def test_no_header_makes_it_fail(one: bytes, two: bytes, length: int) -> None:
    names = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range")
    for name in names:
        headers = {name: one, b"range": b"bytes=" + two}
        assert evaluate(headers, b'"a"', T) in {200, 304, 412}
        part = wanted_part(headers, length, b'"a"', T)
        assert part is None or part == (-1, -1) or 0 <= part[0] < part[1] <= length
    accepted_encodings(one)
    parse_date_s(two)
