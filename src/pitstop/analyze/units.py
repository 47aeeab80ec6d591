"""Figures as people read them: three significant figures and a unit, on the page and in the terminal alike.

``0.42 ms``, ``1.2 s``, ``3.4 k``, ``12 %``; never ``0.00``. None is "no data" and reads ``–``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

NO_DATA = "–"
FIGURES = 3

_DURATIONS = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_LENGTHS_S = ((86_400, "d"), (3_600, "h"), (60, "m"))
LEAST_RATIO = 1e-5  # 0.001 %: what is less and not zero is written "< 0.001 %"


def figures(value: float, digits: int = FIGURES) -> str:
    """`value` to `digits` significant figures, without exponent or empty zeros: 0.42, 12.3, 1240."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else NO_DATA
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    places = digits - 1 - math.floor(math.log10(abs(rounded)))  # 9.999 became 10.0
    text = f"{rounded:.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration_text(seconds: float | None) -> str:
    """``420 µs``, ``1.2 ms``, ``1.24 s``; whole seconds above a minute as ``1 m 30 s``."""
    if seconds is None:
        return NO_DATA
    if seconds == 0:
        return "0 s"
    if abs(seconds) >= 60:  # noqa: PLR2004  a minute
        return _long_text(seconds)
    unit_s, name = _DURATIONS[0]
    for larger_s, larger in _DURATIONS:
        if abs(float(figures(seconds / larger_s))) >= 1:
            unit_s, name = larger_s, larger
    return f"{figures(seconds / unit_s)} {name}"


def _long_text(seconds: float) -> str:
    rest = round(seconds)
    parts = []
    for length_s, name in (*_LENGTHS_S, (1, "s")):
        number, rest = divmod(rest, length_s)
        if number:
            parts.append(f"{number} {name}")
    return " ".join(parts[:2])


def milliseconds_text(seconds: float | None) -> str:
    """The number alone, for a column headed "ms"."""
    return NO_DATA if seconds is None else figures(seconds * 1e3)


def count_text(number: float | None) -> str:
    """A number of things, or of things a second: ``999``, ``3.4 k``, ``1.2 M``, ``0.42``."""
    if number is None:
        return NO_DATA
    for size, name in _LARGE:
        if abs(float(figures(number))) >= size:
            return f"{figures(number / size)} {name}"
    return figures(number)


def rate_text(per_s: float | None) -> str:
    """Events a second, for a column headed "/s"."""
    return count_text(per_s)


def ratio_text(ratio: float | None) -> str:
    """``12 %``, ``0.42 %``, ``< 0.001 %``; just below the whole keeps its nines: ``99.98 %``."""
    if ratio is None:
        return NO_DATA
    if 0 < ratio < LEAST_RATIO:
        return "< 0.001 %"
    if 0.99 < ratio < 1:  # noqa: PLR2004  1 − ratio is what matters there
        missing = figures(max(1 - ratio, LEAST_RATIO) * 100, 2)
        places = len(missing.partition(".")[2])
        return f"{100 - float(missing):.{places}f} %"
    return f"{figures(ratio * 100)} %"


def bytes_text(number: float | None) -> str:
    """Bytes in powers of ten: ``512 B``, ``1.2 kB``, ``3.4 MB``."""
    if number is None:
        return NO_DATA
    for size, name in _BYTES:
        if abs(float(figures(number))) >= size:
            return f"{figures(number / size)} {name}"
    return f"{figures(number)} B"


def change_text(ratio: float | None) -> str:
    """A relative change with its sign: ``+12 %``, ``−3.4 %``, ``×4.2`` from threefold on."""
    if ratio is None:
        return NO_DATA
    if ratio >= 2:  # noqa: PLR2004  "+320 %" is harder to read than "×4.2"
        return f"×{figures(1 + ratio, 2)}"
    sign = "−" if ratio < 0 else "+"
    return f"{sign}{figures(abs(ratio) * 100, 2)} %" if ratio else "±0 %"


def length_text(seconds: int) -> str:
    """A span of time as one types it: ``15m``, ``1h``, ``7d``; ``90s`` where nothing larger fits exactly."""
    for length_s, name in _LENGTHS_S:
        if seconds and seconds % length_s == 0:
            return f"{seconds // length_s}{name}"
    return f"{seconds}s"


def time_text(ts: float) -> str:
    """A moment in UTC, ISO 8601 to the second, with its zone."""
    return datetime.fromtimestamp(ts, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cut_middle(text: str, width: int) -> str:
    """`text` in at most `width` characters, the middle left out: both ends of a route tell it apart."""
    if len(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    head = (width - 1) // 2
    tail = width - 1 - head
    return f"{text[:head]}…{text[len(text) - tail :]}"
