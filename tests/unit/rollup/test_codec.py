"""Histograms as bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import StoreCorruptError
from pitstop.rollup.codec import VERSION, decode, encode
from pitstop.rollup.histogram import POSITIONS

histograms = st.dictionaries(st.integers(0, POSITIONS - 1), st.integers(1, 10**12))


@given(histograms)
def test_what_was_encoded_is_decoded(counts: dict[int, int]) -> None:
    assert decode(encode(counts)) == counts


@given(histograms)
def test_equal_counts_give_equal_bytes_in_whatever_order_they_came(counts: dict[int, int]) -> None:
    assert encode(dict(reversed(counts.items()))) == encode(counts)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused_with_our_error(data: bytes) -> None:
    with suppress(StoreCorruptError):
        assert all(isinstance(count, int) for count in decode(data).values())


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(StoreCorruptError, match=r"16.*reads 15"):
        decode(bytes([VERSION + 1]))


def test_a_histogram_cut_short_is_refused() -> None:
    with pytest.raises(StoreCorruptError, match="middle of a pair"):
        decode(encode({300: 5})[:-1])


def test_fifty_durations_take_less_than_120_bytes() -> None:
    assert len(encode({200 + 4 * i: 1 for i in range(50)})) < 120
