"""Signs as strokes on a small grid, for the labels of a chart: what figures, units and times are written with.

A sign is lines of points, a point two digits: across 0–4, down 0–8 (0 the top of capitals, 2 of small letters, 6 the
base line, 8 below it).
"""

from __future__ import annotations

from functools import cache

ADVANCE = 5.6  # steps from one sign to the next

_SIGNS = {
    "0": "10 30 41 45 36 16 05 01 10",
    "1": "11 20 26,16 36",
    "2": "01 10 30 41 42 06 46",
    "3": "01 10 30 41 42 33 13,33 44 45 36 16 05",
    "4": "36 30 04 44",
    "5": "40 00 03 12 32 43 45 36 16 05",
    "6": "41 30 10 01 05 16 36 45 44 33 13 04",
    "7": "00 40 16",
    "8": "13 02 01 10 30 41 42 33 13 04 05 16 36 45 44 33",
    "9": "05 16 36 45 41 30 10 01 02 13 33 42",
    ".": "26",
    ",": "26 17",
    ":": "23,26",
    "-": "13 33",
    "−": "13 33",
    "–": "03 43",
    "+": "03 43,21 25",
    "/": "06 40",
    "%": "06 40,00 10 11 01 00,35 45 46 36 35",
    "<": "41 03 45",
    "a": "12 32 43 46 16 05 14 44",
    "b": "00 06 36 45 43 32 02",
    "c": "43 32 12 03 05 16 36 45",
    "d": "40 46 16 05 03 12 42",
    "e": "04 44 43 32 12 03 05 16 36",
    "f": "30 20 11 16,02 32",
    "g": "46 16 05 03 12 42 47 38 18",
    "h": "00 06,03 12 32 43 46",
    "i": "22 26,20",
    "j": "22 27 18,20",
    "k": "00 06,42 04 46",
    "l": "20 26",
    "m": "06 02,03 12 23 26,23 32 43 46",
    "n": "02 06,03 12 32 43 46",
    "o": "12 32 43 45 36 16 05 03 12",
    "p": "08 02 32 43 45 36 06",
    "q": "48 42 12 03 05 16 46",
    "r": "02 06,03 12 32",
    "s": "42 12 03 14 34 45 36 06",
    "t": "10 15 26 36,02 32",
    "u": "02 05 16 36 45 42,45 46",
    "v": "02 26 42",
    "w": "02 16 23 36 42",
    "x": "02 46,42 06",
    "y": "02 26,42 18",
    "z": "02 42 06 46",
    "µ": "02 08,05 16 36 45 42,45 46",
    "B": "00 06 36 45 44 33 03,00 30 41 42 33",
    "C": "41 30 10 01 05 16 36 45",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "K": "00 06,40 03 46",
    "M": "06 00 23 40 46",
    "T": "00 40,20 26",
    "U": "00 05 16 36 45 40",
}
_SIGNS["μ"] = _SIGNS["µ"]


@cache
def strokes_of(sign: str) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The strokes of `sign`; none for a blank and for what is not known."""
    known = _SIGNS.get(sign) or _SIGNS.get(sign.lower(), "")
    return tuple(
        tuple((int(point[0]), int(point[1])) for point in stroke.split()) for stroke in known.split(",") if stroke
    )
