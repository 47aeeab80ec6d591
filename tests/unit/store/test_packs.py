"""Packed columns hold exactly what was put in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import StoreCorruptError
from pitstop.store.sqlite import packs
from pitstop.store.sqlite.packs import Unpacked, packed

if TYPE_CHECKING:
    from pitstop.store.sqlite.packs import Values

number = st.one_of(st.integers(0, 300), st.integers(0, 1 << 33), st.integers(0, (1 << 63) - 1))
values = st.tuples(number, number, number, number, number, st.binary(max_size=300))
interval = st.dictionaries(st.one_of(st.integers(1, 400), st.integers(1, 1 << 40)), values, min_size=1, max_size=300)


def unpacked(rows: list[tuple[int, Values]], wanted: set[int] | None = None, *, hist: bool = True) -> Unpacked:
    got = Unpacked(wanted)
    got.add_packs((60, n, numbers, hists if hist else None) for _, _, n, numbers, hists in packed(rows))
    return got


@given(interval, st.data())
def test_rows_come_out_as_they_went_in(rows_of: dict[int, Values], data: st.DataObject) -> None:
    rows = sorted(rows_of.items())
    assert list(unpacked(rows).rows()) == [(60, series, row) for series, row in rows]
    wanted = data.draw(st.sets(st.sampled_from([series for series, _ in rows])))
    chosen = [(60, series, row) for series, row in rows if series in wanted]
    assert list(unpacked(rows, wanted).rows()) == chosen
    plain = [(60, series, (*row[:5], b"")) for _, series, row in chosen]
    assert list(unpacked(rows, wanted, hist=False).rows()) == plain


def test_a_pack_says_its_first_and_last_series_and_how_many() -> None:
    rows = [(series, (1, 5, 5, 5, 0, b"")) for series in range(10, 10 + 3 * packs.SERIES + 1, 1)]
    found = [(first, last, n) for first, last, n, _, _ in packed(rows)]
    each = packs.SERIES
    assert found == [(10 + i * each, 9 + (i + 1) * each, each) for i in range(3)] + [(10 + 3 * each, 10 + 3 * each, 1)]


def test_one_request_of_one_series_takes_few_bytes() -> None:
    ((*_, numbers, hists),) = packed([(7, (1, 12_000_000, 12_000_000, 12_000_000, 900, b"\x15\x80\x05\x01"))])
    assert (len(numbers), len(hists)) == (7 + 1 + 1 + 1 + 4 + 4 + 4 + 2, 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda numbers, hists: (numbers[:-1], hists),
        lambda numbers, hists: (numbers + b"\0", hists),
        lambda numbers, hists: (numbers, hists + b"x"),
        lambda numbers, hists: (b"\x03" + numbers[1:], hists),
        lambda _numbers, hists: (b"", hists),
    ],
)
def test_a_pack_of_a_wrong_length_is_told(change) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    ((*_, n, numbers, hists),) = packed([(i, (1, 5, 5, 5, 0, b"abc")) for i in range(3)])
    with pytest.raises(StoreCorruptError, match="interval at 60 have a wrong length; run 'pitstop doctor'"):
        Unpacked().add_packs([(60, n, *change(numbers, hists))])
