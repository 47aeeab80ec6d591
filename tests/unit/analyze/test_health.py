from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze import health
from pitstop.analyze.health import cache_score, errors_score, latency_score, letter
from pitstop.model import Window

WINDOW = Window(1000, 1100)


@pytest.mark.parametrize(
    ("p95_s", "score"),
    [(0.0, 100), (0.0999, 100), (0.1, 100), (0.3, 85), (0.5, 70), (0.75, 50), (1.0, 30), (2.0, 15), (30.0, 1)],
)
def test_the_latency_curve_is_that_of_r23(p95_s: float, score: float) -> None:
    assert latency_score(p95_s) == pytest.approx(score)


def test_beyond_a_second_the_latency_score_sinks_for_ever_and_never_below_zero() -> None:
    scores = [latency_score(1 + i / 10) for i in range(600)]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] < 1


@pytest.mark.parametrize(
    ("ratio", "score"), [(0.0, 100), (0.001, 100), (0.0055, 85), (0.01, 70), (0.03, 35), (0.05, 0), (1.0, 0)]
)
def test_the_error_score_uses_the_error_rate(ratio: float, score: float) -> None:
    assert errors_score(ratio) == pytest.approx(score)


@pytest.mark.parametrize(
    ("score", "name"),
    [(100, "A+"), (95, "A+"), (94.99, "A"), (90, "A"), (85, "B+"), (80, "B"), (75, "C+"), (70, "C"), (60, "D"),
     (59.99, "F"), (0, "F")],
)  # fmt: skip
def test_letters_have_the_borders_of_r23(score: float, name: str) -> None:
    assert letter(score) == name


def test_with_all_parts_the_score_is_40_30_30(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.2] * 99)
    recorded.add(1000, "GET /a", [0.2], outcome="500")
    recorded.add(1000, "prices", [0.001] * 6, kind="cache", outcome="hit")
    recorded.add(1000, "prices", [0.001] * 4, kind="cache", outcome="miss")
    seen = health(recorded.store, WINDOW, "shop")
    latency, cache, errors = seen.parts
    assert [part.weight for part in seen.parts] == pytest.approx([0.4, 0.3, 0.3])
    assert latency.score == latency_score(latency.value)
    assert (cache.score, cache.value, errors.score, errors.value) == (cache_score(0.6), 0.6, 70.0, 0.01)
    assert seen.score == pytest.approx(0.4 * latency.score + 0.3 * 60 + 0.3 * 70)
    assert seen.letter == letter(seen.score)
    assert seen.note == "40 % latency, 30 % cache, 30 % errors"


def test_without_a_cache_its_weight_is_shared_over_the_rest_and_that_is_said(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.01] * 100)
    seen = health(recorded.store, WINDOW, "shop")
    assert [part.weight for part in seen.parts] == pytest.approx([4 / 7, 0, 3 / 7])
    assert (seen.parts[1].score, seen.parts[1].note) == (None, "no cache seen")
    assert (seen.score, seen.letter) == (pytest.approx(100), "A+")
    assert seen.note.startswith("no cache seen: the weights are shared over the rest")


def test_without_requests_there_is_no_score(recorded: Any) -> None:
    recorded.add(1000, "prices", [0.001], kind="cache", outcome="hit")
    seen = health(recorded.store, WINDOW, "shop")
    assert (seen.score, seen.letter) == (None, "–")
    assert all(part.score is None for part in seen.parts)
