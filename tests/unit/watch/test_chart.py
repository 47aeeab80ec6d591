"""The picture in a message, read back by a library that did not draw it."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pitstop.model.watching import FIRING, PAGE, Notification
from pitstop.watch.chart import HEIGHT, WIDTH, chart_png
from pitstop.watch.strokes import strokes_of

NOTE = Notification("k", FIRING, PAGE, "t", "x", {}, 0.0, limit=0.5, unit="s")
BEGAN_S = 1_790_000_000
BLUE, RED = (37, 99, 235), (220, 38, 38)


def picture(points: list[tuple[int, float | None]], **changes: object) -> Image.Image:
    return Image.open(io.BytesIO(chart_png(NOTE._replace(points=points, **changes)))).convert("RGB")


def rows_of(image: Image.Image, colour: tuple[int, int, int], x: int) -> list[int]:
    return [y for y in range(image.height) if image.getpixel((x, y)) == colour]


def test_a_value_is_drawn_where_it_belongs_and_the_limit_too() -> None:
    image = picture([(BEGAN_S + 60 * i, 1.0 if i >= 50 else 0.25) for i in range(101)])

    assert image.size == (WIDTH, HEIGHT)
    low, high = rows_of(image, BLUE, 300), rows_of(image, BLUE, 800)
    assert low
    assert high
    limits = {y for x in range(120, 600) for y in rows_of(image, RED, x)}
    base, limit = HEIGHT - 48, sum(limits) / len(limits)
    assert (base - sum(low) / len(low)) / (base - limit) == pytest.approx(0.5, abs=0.02)
    assert (base - sum(high) / len(high)) / (base - limit) == pytest.approx(2.0, abs=0.03)


def test_a_gap_stays_a_gap() -> None:
    image = picture([(BEGAN_S + 60 * i, None if 40 <= i <= 60 else 0.7) for i in range(101)])
    middle = 112 + (WIDTH - 136) // 2

    assert rows_of(image, BLUE, middle) == []
    assert rows_of(image, BLUE, middle - 200)


def test_a_peak_is_not_thinned_away() -> None:
    image = picture([(BEGAN_S + i, 9.0 if i == 2500 else 0.1) for i in range(5000)], limit=None)

    assert min(y for x in range(100, WIDTH - 40) for y in rows_of(image, BLUE, x)) < 60


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, 1.0)],
        [(1, 1.0), (1, 2.0)],
        [(1, None), (2, None)],
        [(1, math.nan), (2, math.inf), (3, 1.0)],
        [(1, 1.7e308), (2, -1.7e308)],
    ],
)
def test_what_has_no_course_has_no_picture(points: list[tuple[int, float | None]]) -> None:
    assert chart_png(NOTE._replace(points=points)) == b""


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4_000_000_000), st.none() | st.floats()), max_size=30),
    st.none() | st.floats(),
    st.sampled_from(["s", "ratio", "bytes", "", "requests/s", "☃"]),
)
def test_whatever_was_measured_it_is_a_picture_or_none(
    points: list[tuple[int, float | None]], limit: float | None, unit: str
) -> None:
    drawn = chart_png(NOTE._replace(points=points, limit=limit, unit=unit))

    assert drawn == b"" or Image.open(io.BytesIO(drawn)).size == (WIDTH, HEIGHT)


def test_every_sign_of_figures_units_and_times_can_be_written() -> None:
    for sign in "0123456789.:-−–%/µsmhdkMGTBCUTlimitnoda<":
        assert strokes_of(sign), sign
    assert strokes_of(" ") == strokes_of("☃") == ()
