"""Figures in findings: rows with thousands apart, bytes and durations with their unit."""

from __future__ import annotations

_THOUSAND = 1000


def rows_text(number: float) -> str:
    """``12,345``; one decimal below ten where there is one."""
    if number < 10 and number != int(number):  # noqa: PLR2004  rows of a loop are a mean
        return f"{number:.1f}"
    return f"{round(number):,}"


def bytes_text(number: float) -> str:
    """``512 B``, ``1.2 MB``: powers of ten, as everywhere."""
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= size:
            return f"{number / size:.3g} {name}" if number < _THOUSAND * size else f"{number / size:,.0f} {name}"
    return f"{number:.0f} B"


def duration_text(seconds: float) -> str:
    """``420 µs``, ``1.2 ms``, ``1.24 s``."""
    if seconds >= 1:
        return f"{seconds:.3g} s" if seconds < _THOUSAND else f"{seconds:,.0f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"  # noqa: PLR2004  a millisecond


def times_text(ratio: float) -> str:
    """``12 times``: how many times as much."""
    return f"{ratio:,.0f} times"
