from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.analyze import units


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1, "1"), (0.42, "0.42"), (12.34, "12.3"), (1239, "1240"), (9.999, "10"), (0.0012345, "0.00123"),
     (-3.14159, "-3.14"), (float("nan"), "–"), (100, "100"), (99.95, "100")],
)  # fmt: skip
def test_figures_are_three_and_say_nothing_twice(value: float, text: str) -> None:
    assert units.figures(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 s"), (0.00042, "420 µs"), (0.0012, "1.2 ms"), (0.9996, "1 s"), (1.2, "1.2 s"),
     (59.99, "60 s"), (90, "1 m 30 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (4e-8, "0.04 µs")],
)  # fmt: skip
def test_durations_have_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert units.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(None, "–"), (0, "0 %"), (0.12, "12 %"), (0.0042, "0.42 %"), (1e-7, "< 0.001 %"), (1, "100 %"),
     (0.9998, "99.98 %"), (0.99999, "99.999 %"), (1 - 1e-9, "99.999 %")],
)  # fmt: skip
def test_ratios_are_percents_that_round_neither_to_nothing_nor_to_all(ratio: float | None, text: str) -> None:
    assert units.ratio_text(ratio) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "–"), (0, "0"), (999, "999"), (1000, "1 k"), (3400, "3.4 k"), (999_600, "1 M"), (12_345_678, "12.3 M"),
     (0.417, "0.417")],
)  # fmt: skip
def test_counts_have_three_figures(number: float | None, text: str) -> None:
    assert units.count_text(number) == units.rate_text(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "–"), (0, "0 B"), (512, "512 B"), (1200, "1.2 kB"), (999_999, "1 MB"), (3.4e9, "3.4 GB")],
)
def test_bytes_are_powers_of_ten(number: float | None, text: str) -> None:
    assert units.bytes_text(number) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(None, "–"), (0, "±0 %"), (0.123, "+12 %"), (-0.034, "−3.4 %"), (3.2, "×4.2")]
)
def test_changes_carry_their_sign(ratio: float | None, text: str) -> None:
    assert units.change_text(ratio) == text


@pytest.mark.parametrize(("seconds", "text"), [(900, "15m"), (3600, "1h"), (604_800, "7d"), (90, "90s"), (0, "0s")])
def test_lengths_read_as_they_are_typed(seconds: int, text: str) -> None:
    assert units.length_text(seconds) == text


def test_moments_name_their_zone() -> None:
    assert units.time_text(0) == "1970-01-01T00:00:00Z"
    assert units.milliseconds_text(0.00123) == "1.23"
    assert units.milliseconds_text(None) == "–"


@given(st.text(max_size=60), st.integers(0, 40))
def test_a_cut_name_fits_and_keeps_both_ends(text: str, width: int) -> None:
    cut = units.cut_middle(text, width)
    assert len(cut) <= width
    if len(text) > width > 4:
        assert cut[0] == text[0]
        assert cut[-1] == text[-1]


@given(st.floats(1e-9, 1e9))
def test_figures_are_right_to_three_and_never_look_like_zero(value: float) -> None:
    text = units.figures(value)
    assert float(text) == pytest.approx(value, rel=0.00501)
    assert text.strip("0.") != ""
