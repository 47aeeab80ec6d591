"""Anomalies and changes are found, and healthy days have none."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store.memory import MemoryStore
from pitstop.watch.conditions import KINDS
from pitstop.watch.conditions.change_point import rank_test
from pitstop.watch.rules import parse_rule
from pitstop.watch.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pitstop.watch.conditions.reading import Reading

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
NOW = 1_790_000_000 // DAY_S * DAY_S + 12 * HOUR_S


class Service:
    """Healthy traffic: twice as busy and a third slower at noon than at night, quieter on weekends, with noise."""

    def __init__(self, seed: int, busy: int = 40) -> None:
        self.store = MemoryStore(f"service-{seed}")
        self._chance = random.Random(seed)
        self._busy = busy
        self._seq = 0

    def add(self, ts: int, length_s: int, *, slower: float = 1.0, busier: float = 1.0, failing: float = 0.001) -> None:
        """What happened from `ts` on, as one row."""
        day = math.sin((ts % DAY_S) / DAY_S * 2 * math.pi - math.pi / 2)
        weekend = 0.5 if (ts // DAY_S) % 7 in {2, 3} else 1.0
        expected = self._busy * length_s / 60 * (1.5 + 0.5 * day) * weekend * busier
        number = max(1, round(self._chance.gauss(expected, math.sqrt(expected))))
        median_s = 0.1 * (1.15 + 0.15 * day) * slower * math.exp(self._chance.gauss(0, 0.03))
        drawn = min(number, 300)  # the histogram of as many stands for all
        whole_ns = [round(1e9 * self._chance.lognormvariate(math.log(median_s), 0.5)) for _ in range(drawn)]
        counts = {key: max(1, round(n * number / drawn)) for key, n in Counter(map(position_of, whole_ns)).items()}
        number = sum(counts.values())
        failed = sum(self._chance.random() < failing for _ in range(drawn)) * number // drawn
        rows = Rollups()
        self._row(rows, ts, "200", number, sum(whole_ns) * number // drawn, min(whole_ns), max(whole_ns), counts)
        if failed:
            self._row(rows, ts, "500", failed, failed * 10**7, 10**7, 10**7, {position_of(10**7): failed})
        self._seq += 1
        self.store.append(Batch("w", self._seq, rows))

    @staticmethod
    def _row(rows: Rollups, ts: int, outcome: str, number: int, *rest: object) -> None:
        *sums, counts = rest
        for column, value in zip(
            (rows.ts, rows.series, rows.count, rows.sum_ns, rows.min_ns, rows.max_ns, rows.nbytes, rows.hist),
            (ts, Series("shop", "", "http", "GET /a", "", outcome), number, *sums, 0, encode(counts)),  # type: ignore[arg-type]
            strict=True,
        ):
            column.append(value)  # type: ignore[attr-defined]

    def past(self, days: int, until_s: int = NOW) -> None:
        """Hours up to a day before `until_s`, which is all that is looked at of them."""
        for ts in range(until_s - days * DAY_S, until_s - 20 * HOUR_S, HOUR_S):
            self.add(ts, HOUR_S)

    def minutes(self, start_s: int, end_s: int, **how: float) -> None:
        for ts in range(start_s, end_s, MINUTE_S):
            self.add(ts, MINUTE_S, **how)

    def look(self, at_s: int, kept: dict[Hashable, object] | None = None, **table: object) -> list[Reading]:
        rule = parse_rule({"name": "tested", **table}, "test")
        return list(KINDS[rule.kind].read(rule, Sight(self.store, at_s, kept=kept)))


@pytest.mark.parametrize("days", [29, 6])
@pytest.mark.parametrize(
    ("metric", "direction", "how"),
    [
        ("p95", "up", {"slower": 3.0}), ("p50", "up", {"slower": 2.0}), ("mean", "up", {"slower": 2.0}),
        ("error_ratio", "up", {"failing": 0.1}), ("rate", "down", {"busier": 0.2}), ("rate", "both", {"busier": 4.0}),
        ("rate", "up", {"busier": 4.0}),
    ],
)  # fmt: skip
def test_what_is_far_from_usual_is_found_with_weeks_of_history_and_with_days(
    metric: str, direction: str, how: dict[str, float], days: int
) -> None:
    service = Service(days)
    service.past(days)
    service.minutes(NOW - 20 * MINUTE_S, NOW - 10 * MINUTE_S)
    service.minutes(NOW - 10 * MINUTE_S, NOW, **how)
    [usual] = service.look(NOW - 10 * MINUTE_S, kind="anomaly", metric=metric, direction=direction)
    [odd] = service.look(NOW, kind="anomaly", metric=metric, direction=direction)

    assert (usual.hot, odd.hot) == (False, True)
    assert usual.calm
    assert odd.limit is not None
    assert odd.value is not None
    assert (odd.value > odd.limit) == (how.get("busier", 2.0) > 1)
    assert "usually" in odd.text


def test_a_direction_that_is_not_asked_for_is_no_anomaly() -> None:
    service = Service(5)
    service.past(8)
    service.minutes(NOW - 10 * MINUTE_S, NOW, slower=0.2, busier=0.2)

    assert not service.look(NOW, kind="anomaly", metric="p95")[0].hot
    assert not service.look(NOW, kind="anomaly", metric="rate", direction="up")[0].hot


def test_without_enough_of_a_past_nothing_is_unusual() -> None:
    service = Service(6)
    service.past(1)
    service.minutes(NOW - 10 * MINUTE_S, NOW, slower=9.0)

    assert service.look(NOW, kind="anomaly") == []


def test_last_weeks_outage_does_not_become_usual() -> None:
    service = Service(7)
    service.past(29)
    for ts in range(NOW - 7 * DAY_S - HOUR_S, NOW - 7 * DAY_S + 2 * HOUR_S, HOUR_S):
        service.add(ts, HOUR_S, slower=20.0)
    service.minutes(NOW - 10 * MINUTE_S, NOW, slower=3.0)

    assert service.look(NOW, kind="anomaly")[0].hot


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), days=st.sampled_from([29, 9, 6, 3]), busy=st.sampled_from([6, 40, 400]))
def test_a_healthy_day_has_no_anomaly(seed: int, days: int, busy: int) -> None:
    service = Service(seed, busy)
    service.past(days)
    service.minutes(NOW - HOUR_S, NOW)
    kept: dict[Hashable, object] = {}
    for metric, direction in (("p95", "up"), ("p99", "up"), ("error_ratio", "up"), ("rate", "both")):
        for at_s in range(NOW - 50 * MINUTE_S, NOW, 5 * MINUTE_S):
            found = service.look(at_s, kept, kind="anomaly", metric=metric, direction=direction)
            assert not any(one.hot for one in found), found


@pytest.mark.parametrize(("metric", "how"), [("p95", {"slower": 2.0}), ("mean", {"slower": 1.6})])
def test_a_level_that_changed_and_stayed_is_found_and_when_it_is_gone_is_calm(
    metric: str, how: dict[str, float]
) -> None:
    service = Service(11)
    service.minutes(NOW - 3 * HOUR_S, NOW)
    service.minutes(NOW, NOW + HOUR_S, **how)
    service.minutes(NOW + HOUR_S, NOW + 2 * HOUR_S)
    hot = [service.look(NOW + m * MINUTE_S, kind="change_point", metric=metric)[0].hot for m in range(0, 120, 5)]

    assert hot[0] is False
    assert all(hot[4:7])
    assert not any(hot[16:])


def test_a_peak_of_a_few_minutes_is_no_change() -> None:
    service = Service(12)
    service.minutes(NOW - 3 * HOUR_S, NOW - 12 * MINUTE_S)
    service.minutes(NOW - 12 * MINUTE_S, NOW - 6 * MINUTE_S, slower=8.0)
    service.minutes(NOW - 6 * MINUTE_S, NOW)

    assert not service.look(NOW, kind="change_point")[0].hot


def test_what_changes_each_day_at_this_time_is_no_change() -> None:
    service = Service(13)
    for back_s in (DAY_S, 0):
        service.minutes(NOW - 3 * HOUR_S - back_s, NOW - 20 * MINUTE_S - back_s)
        service.minutes(NOW - 20 * MINUTE_S - back_s, NOW - back_s, slower=2.0)

    assert not service.look(NOW, kind="change_point")[0].hot


def test_what_falls_is_found_only_where_it_is_asked_for() -> None:
    service = Service(14)
    service.minutes(NOW - 3 * HOUR_S, NOW - 20 * MINUTE_S)
    service.minutes(NOW - 20 * MINUTE_S, NOW, busier=0.3)
    found = [service.look(NOW, kind="change_point", metric="rate", direction=d)[0].hot for d in ("up", "down", "both")]

    assert found == [False, True, True]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), hour=st.integers(0, 23), busy=st.sampled_from([10, 40, 200]))
def test_a_healthy_day_has_no_change(seed: int, hour: int, busy: int) -> None:
    service = Service(seed, busy)
    end_s = NOW + hour * HOUR_S
    service.minutes(end_s - 4 * HOUR_S, end_s)
    for metric in ("p95", "mean", "error_ratio"):
        for at_s in range(end_s - 80 * MINUTE_S, end_s + 1, 10 * MINUTE_S):
            assert not any(one.hot for one in service.look(at_s, kind="change_point", metric=metric))


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=30),
    st.lists(st.integers(0, 9), min_size=2, max_size=30),
)
def test_the_rank_test_counts_pairs(before: list[int], after: list[int]) -> None:
    share, z = rank_test([float(v) for v in before], [float(v) for v in after])
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in after for b in before]

    assert share == pytest.approx(sum(pairs) / len(pairs))
    assert (z > 0) == (share > 0.5 + 1e-12) or len(set(before + after)) == 1
    assert rank_test(after, before)[1] == pytest.approx(-z)


def test_the_rank_test_agrees_with_the_literature() -> None:
    """Mann & Whitney's z of the example in Siegel, "Nonparametric Statistics" (1956), table 6.10: U = 64, z = 3.43."""
    absent = [13, 12, 12, 10, 10, 10, 10, 9, 8, 8, 7, 7, 7, 7, 7, 6]
    present = [17, 16, 15, 15, 15, 14, 14, 14, 13, 13, 13, 12, 12, 12, 12, 11, 11, 10, 10, 10, 8, 8, 6]
    share, z = rank_test(absent, present)

    assert (1 - share) * len(absent) * len(present) == pytest.approx(64)
    assert z == pytest.approx(3.45, abs=0.03)
