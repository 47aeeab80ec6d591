"""The chart in a message: the value that led to it over time, and the limit, as a PNG of about 17 kB.

Drawn here, in about 0.1 s, because a drawing library would be the largest thing installed. Every line and sign is a set
of strokes; a pixel is coloured by its distance from them, which smooths all edges.
"""

from __future__ import annotations

import math
import struct
import zlib
from datetime import UTC, datetime
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pitstop.watch.message import value_text
from pitstop.watch.strokes import ADVANCE, strokes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.watching import Notification

WIDTH, HEIGHT = 960, 320
_TOP, _RIGHT, _BOTTOM, _LEFT = 24, 24, 48, 112
_WHITE, _GRID, _TEXT = (255, 255, 255), (229, 231, 235), (75, 85, 99)
_LINE, _FILL, _LIMIT = (37, 99, 235), (219, 234, 254), (220, 38, 38)
_UNIT = 2.0  # pixels of one step of the signs' grid: capitals are 12 high
_MOST_POINTS = 400
_STEPS_S = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)
_MOST_TICKS = 7
_DAYS_S = 2 * 86_400  # from here on dates are told, and not times of day
_HEADROOM = 1.08

Point = tuple[float, float]
Colour = tuple[int, int, int]


class _Scale(NamedTuple):
    """From seconds and values to pixels."""

    start_s: float
    end_s: float
    low: float
    high: float

    def x(self, ts_s: float) -> float:
        return _LEFT + (ts_s - self.start_s) / (self.end_s - self.start_s) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM)


def chart_png(notification: Notification) -> bytes:
    """A picture of its points with the limit dashed; empty when there are not two values to show."""
    points = _thinned([(ts, _known(value)) for ts, value in sorted(notification.points, key=itemgetter(0))])
    known = [(ts, value) for ts, value in points if value is not None]
    if len(known) < 2 or points[0][0] == points[-1][0]:  # noqa: PLR2004  one value has no course
        return b""
    limit = _known(notification.limit)
    values = [value for _, value in known] + ([] if limit is None else [limit])
    low, high = min(0.0, *values), max(0.0, *values)
    high = high + (high - low) * (_HEADROOM - 1) if high > low else low + 1.0
    scale = _Scale(points[0][0], points[-1][0], low, high)
    if not math.isfinite((high - low) * HEIGHT) or high - low < 1e-300:  # noqa: PLR2004  beyond what can be drawn
        return b""
    canvas = _Canvas()
    runs = [[(scale.x(ts), scale.y(value)) for ts, value in run] for run in _runs(points)]
    for run in runs:
        canvas.area(run, scale.y(0.0), _FILL)
    _grid(canvas, scale, notification.unit)
    for run in runs:
        canvas.line(run, _LINE, 3.0)
    if limit is not None:
        y = scale.y(limit)
        for x in range(_LEFT, WIDTH - _RIGHT, 14):
            canvas.line([(x, y), (min(x + 8, WIDTH - _RIGHT), y)], _LIMIT, 2.0)
        words = f"limit {value_text(limit, notification.unit)}"
        canvas.text(WIDTH - _RIGHT - len(words) * ADVANCE * _UNIT, y - 18 if y > _TOP + 18 else y + 8, words, _LIMIT)
    last = known[-1]
    canvas.line([(scale.x(last[0]), scale.y(last[1]))], _LINE, 9.0)
    return _png(canvas.pixels)


class _Canvas:
    """Pixels, drawn on with smooth edges."""

    def __init__(self) -> None:
        self.pixels = np.full((HEIGHT, WIDTH, 3), _WHITE, dtype=np.float32)

    def line(self, places: Sequence[Point], colour: Colour, width: float) -> None:
        """A stroke through `places` with round ends; a single place is a dot."""
        pairs = list(pairwise(places)) or [(places[0], places[0])]
        for (x1, y1), (x2, y2) in pairs:
            self._stroke(x1, y1, x2, y2, colour, width / 2)

    def area(self, places: Sequence[Point], floor: float, colour: Colour) -> None:
        """What is between `places` and the height `floor`."""
        xs = np.arange(math.ceil(places[0][0]), math.floor(places[-1][0]) + 1)
        if not len(xs):
            return
        tops = np.interp(xs, [x for x, _ in places], [y for _, y in places])
        upper, lower = np.minimum(tops, floor), np.maximum(tops, floor)
        rows = np.arange(HEIGHT)[:, None]
        cover = np.clip(rows - upper + 0.5, 0, 1) * np.clip(lower - rows + 0.5, 0, 1)
        self._blend(slice(0, HEIGHT), slice(int(xs[0]), int(xs[-1]) + 1), cover, colour)

    def text(self, x: float, y: float, words: str, colour: Colour) -> None:
        """`words` with their upper left corner there."""
        for sign in words:
            for stroke in strokes_of(sign):
                self.line([(x + px * _UNIT, y + py * _UNIT) for px, py in stroke], colour, 1.7)
            x += ADVANCE * _UNIT

    def _stroke(self, x1: float, y1: float, x2: float, y2: float, colour: Colour, radius: float) -> None:
        left, right = int(max(min(x1, x2) - radius - 1, 0)), int(min(max(x1, x2) + radius + 2, WIDTH))
        top, bottom = int(max(min(y1, y2) - radius - 1, 0)), int(min(max(y1, y2) + radius + 2, HEIGHT))
        if left >= right or top >= bottom:
            return
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        dx, dy = x2 - x1, y2 - y1
        length = dx * dx + dy * dy
        along = np.clip(((columns - x1) * dx + (rows - y1) * dy) / length, 0, 1) if length else 0.0
        distance = np.hypot(columns - (x1 + along * dx), rows - (y1 + along * dy))
        self._blend(slice(top, bottom), slice(left, right), np.clip(radius + 0.5 - distance, 0, 1), colour)

    def _blend(self, rows: slice, columns: slice, cover: np.ndarray, colour: Colour) -> None:
        part = self.pixels[rows, columns]
        part += (np.array(colour, dtype=np.float32) - part) * cover[:, :, None].astype(np.float32)


def _grid(canvas: _Canvas, scale: _Scale, unit: str) -> None:
    step = _nice((scale.high - scale.low) / 4)
    tick = math.ceil(scale.low / step - 1e-9) * step
    while tick <= scale.high:
        y = scale.y(tick)
        canvas.line([(_LEFT, y), (WIDTH - _RIGHT, y)], _GRID, 1.0)
        words = value_text(0.0 if abs(tick) < step / 2 else tick, unit)
        canvas.text(_LEFT - 12 - len(words) * ADVANCE * _UNIT, y - 6, words, _TEXT)
        tick += step
    span_s = scale.end_s - scale.start_s
    step_s = next((one for one in _STEPS_S if span_s / one <= _MOST_TICKS), span_s)
    ts = math.ceil(scale.start_s / step_s) * step_s
    while ts <= scale.end_s:
        words = datetime.fromtimestamp(ts, UTC).strftime("%H:%M" if span_s < _DAYS_S else "%m-%d")
        x = scale.x(ts) - len(words) * ADVANCE * _UNIT / 2
        if x + len(words) * ADVANCE * _UNIT < WIDTH - 4:
            canvas.text(x, HEIGHT - _BOTTOM + 14, words, _TEXT)
        ts += step_s
    canvas.text(_LEFT - 12 - 3 * ADVANCE * _UNIT, HEIGHT - _BOTTOM + 14, "UTC", _TEXT)


def _nice(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _thinned(points: list[tuple[int, float | None]]) -> list[tuple[int, float | None]]:
    """At most `_MOST_POINTS`, the highest of each span: a peak is what an alert is about."""
    size = -(-len(points) // _MOST_POINTS)
    if size <= 1:
        return points
    out = []
    for i in range(0, len(points), size):
        span = points[i : i + size]
        out.append(max(span, key=lambda point: -math.inf if point[1] is None else point[1]))
    return out


def _runs(points: list[tuple[int, float | None]]) -> list[list[tuple[int, float]]]:
    """Points without a gap between them."""
    runs: list[list[tuple[int, float]]] = [[]]
    for ts, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((ts, value))
    return [run for run in runs if run]


def _png(pixels: np.ndarray) -> bytes:
    """RGB, eight bits (PNG, third edition, W3C 2025)."""
    rows = np.zeros((HEIGHT, 1 + WIDTH * 3), dtype=np.uint8)  # each row begins with its filter, 0: none
    rows[:, 1:] = np.rint(pixels).astype(np.uint8).reshape(HEIGHT, -1)
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")):
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)
