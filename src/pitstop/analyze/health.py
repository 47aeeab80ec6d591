"""Is it fine? A score of 0 … 100 with a letter, and the parts it is made of (R23).

40 % latency, 30 % cache, 30 % errors. A part without data has no score, and its weight is shared over the rest in
proportion; the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pitstop.analyze.overview import overview
from pitstop.analyze.severity import CRITICAL_FROM_S, SLOW_FROM_S, WARNING_FROM_S
from pitstop.analyze.units import duration_text, ratio_text

if TYPE_CHECKING:
    from pitstop.analyze.overview import Overview
    from pitstop.model import Store, Window

Letter = Literal["A+", "A", "B+", "B", "C+", "C", "D", "F", "–"]

LATENCY_WEIGHT = 0.40  # R23
CACHE_WEIGHT = 0.30  # R23
ERRORS_WEIGHT = 0.30  # R23
LETTERS: tuple[tuple[Letter, float], ...] = (
    ("A+", 95), ("A", 90), ("B+", 85), ("B", 80), ("C+", 75), ("C", 70), ("D", 60),
)  # fmt: skip  # R23; F below
LATENCY_CURVE = ((WARNING_FROM_S, 100.0), (SLOW_FROM_S, 70.0), (CRITICAL_FROM_S, 30.0))  # R23; s, score
ERRORS_CURVE = ((0.001, 100.0), (0.01, 70.0), (0.05, 0.0))
"""Ratio, score: full up to the objective of R34 (0.1 %), nothing from 5 % on; docs/analysis.md has the reasons."""


@dataclass(frozen=True, slots=True)
class HealthPart:
    """One part of the score. `score` and `value` None: no data. `weight` is the one applied, after sharing.

    `value` is the P95 in seconds for latency, a ratio for cache and errors.
    """

    name: Literal["latency", "cache", "errors"]
    score: float | None
    weight: float
    value: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Health:
    """`score` None and letter "–" when nothing was recorded; `note` says what the score is made of."""

    score: float | None
    letter: Letter
    parts: tuple[HealthPart, ...]
    note: str


def health(store: Store, window: Window, service: str | None = None) -> Health:
    """The score of the service over `window`."""
    return health_of(overview(store, window, service))


def health_of(seen: Overview) -> Health:
    """The score of what an overview saw."""
    stats = seen.stats
    p95_s, errors, hits = stats.p95_s, stats.error_ratio, seen.cache_hit_ratio
    scored: list[tuple[Literal["latency", "cache", "errors"], float, float | None, float | None, str]] = [
        (
            "latency",
            LATENCY_WEIGHT,
            None if p95_s is None else latency_score(p95_s),
            p95_s,
            "no requests" if p95_s is None else f"95 % of requests took {duration_text(p95_s)} or less",
        ),
        (
            "cache",
            CACHE_WEIGHT,
            None if hits is None else cache_score(hits),
            hits,
            "no cache seen" if hits is None else f"{ratio_text(hits)} of lookups were hits",
        ),
        (
            "errors",
            ERRORS_WEIGHT,
            None if errors is None else errors_score(errors),
            errors,
            "no requests" if errors is None else f"{ratio_text(errors)} of requests failed (status 500 or above)",
        ),
    ]
    if p95_s is None:  # lookups alone say nothing about how the service is doing
        scored = [(name, weight, None, value, note) for name, weight, _, value, note in scored]
    whole = sum(weight for _, weight, score, _, _ in scored if score is not None)
    parts = tuple(
        HealthPart(name, score, weight / whole if score is not None else 0.0, value, note)
        for name, weight, score, value, note in scored
    )
    if not whole:
        return Health(None, "–", parts, "nothing was recorded in this window")
    total = sum(part.score * part.weight for part in parts if part.score is not None)
    return Health(total, letter(total), parts, _made_of(parts))


def latency_score(p95_s: float) -> float:
    """100 below 100 ms, 70 at 500 ms, 30 at 1 s, straight lines between; above, 30 over the seconds it takes."""
    if p95_s > CRITICAL_FROM_S:
        return LATENCY_CURVE[-1][1] * CRITICAL_FROM_S / p95_s
    return _on_curve(LATENCY_CURVE, p95_s)


def errors_score(error_ratio: float) -> float:
    """100 up to 0.1 %, 70 at 1 %, 0 from 5 % on, straight lines between."""
    return _on_curve(ERRORS_CURVE, error_ratio)


def cache_score(hit_ratio: float) -> float:
    """The hit ratio in percent."""
    return 100 * hit_ratio


def letter(score: float) -> Letter:
    """The letter of a score, taken from the unrounded score."""
    for name, least in LETTERS:
        if score >= least:
            return name
    return "F"


def _on_curve(curve: tuple[tuple[float, float], ...], x: float) -> float:
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[-1][1]


def _made_of(parts: tuple[HealthPart, ...]) -> str:
    used = ", ".join(f"{part.weight:.0%} {part.name}".replace("%", " %") for part in parts if part.score is not None)
    missing = [part for part in parts if part.score is None]
    if not missing:
        return used
    return f"{'; '.join(part.note for part in missing)}: the weights are shared over the rest ({used})"
