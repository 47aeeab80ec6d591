from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pitstop.analyze.units import figures
from pitstop.model import Window
from pitstop.model.watching import DEGRADED, FIRING, NO_DATA, OK, PAGE
from pitstop.store import open_store
from pitstop.watch.bins import Kept
from pitstop.watch.budgets import burning, history, slo_states
from pitstop.watch.burn import burns, settled_s
from pitstop.watch.objectives import Objective, default_objectives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Service

    from pitstop.model import Rollups, Store

DAY_S, HOUR_S = 86_400, 3600
NOW_S = int(time.time())  # stores fold and keep by the machine's clock
UPTIME = Objective("uptime", "availability", 0.999, "shop")


def hours(days: int) -> Iterator[int]:
    yield from range(NOW_S - days * DAY_S, NOW_S - 120, HOUR_S)


def test_what_failed_over_what_was_asked_is_the_budget_spent(happened: Service) -> None:
    for ts in hours(10):
        happened.add(ts, {0.02: 1000})
    happened.add(NOW_S - 5 * DAY_S - 100, {0.02: 120}, outcome="500")
    happened.add(NOW_S - 5 * DAY_S - 100, {0.02: 500}, outcome="404")
    (state,) = slo_states(happened.write(), [UPTIME], NOW_S)
    total = len(list(hours(10))) * 1000 + 620
    assert (state.good, state.total) == (total - 120, total)
    assert state.ratio == (total - 120) / total
    assert state.budget_left == pytest.approx(1 - 120 / (total * 0.001))
    assert state.labels == {"slo": "uptime", "service": "shop"}
    assert state.state == OK
    assert state.runs_out_s is None
    assert state.window.end_s == settled_s(NOW_S)
    assert state.window.duration_s - 30 * DAY_S in range(HOUR_S)


def test_what_is_older_than_the_window_does_not_count(happened: Service) -> None:
    happened.add(NOW_S - 9 * DAY_S, {0.02: 100}, outcome="500")
    for ts in hours(6):
        happened.add(ts, {0.02: 1000})
    (state,) = slo_states(happened.write(), [UPTIME._replace(window="7d")], NOW_S)
    assert state.budget_left == 1.0


def test_a_failure_now_fires_and_the_budget_runs_out_when_it_goes_on(happened: Service) -> None:
    for ts in hours(20):
        happened.add(ts, {0.02: 10_000})
    for ts in range(NOW_S - 1800, NOW_S - 20, 10):
        happened.add(ts, {0.02: 1}, outcome="503")
    (state,) = slo_states(happened.write(), [UPTIME], NOW_S)
    assert state.state == FIRING
    assert [burn.firing for burn in state.burns][:1] == [True]
    bad, total = 178, len(list(hours(20))) * 10_000 + 178
    left = 1 - bad / (total * 0.001)
    assert state.budget_left == pytest.approx(left)
    hour_s = HOUR_S + settled_s(NOW_S) % 60
    assert state.runs_out_s == pytest.approx(settled_s(NOW_S) + left * total * 0.001 / (bad / hour_s), rel=1e-6)


def test_a_budget_that_grows_faster_than_it_is_spent_does_not_run_out(happened: Service) -> None:
    for ts in hours(2):  # a window of 30 days that has hardly begun
        happened.add(ts, {0.02: 10_000})
    for ts in range(NOW_S - 1800, NOW_S - 20, 10):
        happened.add(ts, {0.02: 100})
    happened.add(NOW_S - 1800, {0.02: 9}, outcome="503")  # of 27,000 or so in this hour: half of what is allowed
    (state,) = slo_states(happened.write(), [UPTIME], NOW_S)
    assert 0 < (state.burns[0].long_rate or 0) < 1
    assert 0.9 < (state.budget_left or 0) < 1
    assert state.runs_out_s is None


def test_a_spent_budget_without_a_failure_now_is_degraded(happened: Service) -> None:
    for ts in hours(20):
        happened.add(ts, {0.02: 100})
    happened.add(NOW_S - 15 * DAY_S, {0.02: 100}, outcome="500")
    (state,) = slo_states(happened.write(), [UPTIME], NOW_S)
    assert (state.state, state.budget_left) == (DEGRADED, pytest.approx(1 - 100 / 48.2, rel=0.01))
    assert f"{figures(1 - state.budget_left)} times the budget is spent" in state.summary
    assert 2 < 1 - state.budget_left < 2.1
    assert state.runs_out_s == settled_s(NOW_S)


def test_nothing_recorded_is_no_data_and_comes_last(happened: Service) -> None:
    happened.add(NOW_S - 100, {0.02: 3})
    states = slo_states(happened.write(), default_objectives(["quiet", "shop"]), NOW_S)
    assert [state.labels["service"] for state in states] == ["shop"] * 4 + ["quiet"] * 4
    quiet = states[-1]
    assert (quiet.ratio, quiet.budget_left, quiet.runs_out_s, quiet.state) == (None, None, None, NO_DATA)
    assert {burn.long_rate for burn in quiet.burns} <= {None}


@pytest.mark.parametrize(("threshold_s", "good"), [(0.5, 90 + 5), (0.25, 90), (1.0, 90 + 5 + 3), (2.0, 100)])
def test_a_threshold_on_a_border_counts_exactly_what_took_no_longer(
    happened: Service, threshold_s: float, good: int
) -> None:
    """0.5 s itself is good; one nanosecond more is not."""
    happened.add(NOW_S - 400, {0.1: 90, 0.5: 5, 0.500000001: 1, 0.9: 2, 1.5: 2})
    objective = Objective("fast", "latency", 0.9, "shop", threshold_s=threshold_s)
    (state,) = slo_states(happened.write(), [objective], NOW_S)
    assert (state.good, state.total) == (good, 100)
    assert "Read at" not in state.summary


def test_a_threshold_within_a_bucket_is_read_at_its_nearest_border_and_says_so(happened: Service) -> None:
    happened.add(NOW_S - 400, {0.1: 90, 0.3: 5, 0.4: 5})
    objective = Objective("fast", "latency", 0.9, "shop", threshold_s=0.3)
    (state,) = slo_states(happened.write(), [objective], NOW_S)
    assert state.total == 100
    assert "Read at 297 ms, the histogram's border next to it (0.899 % below)." in state.summary
    assert state.good == 90  # 300 ms lies above the border it is read at


def test_each_route_and_each_tenant_has_a_budget_of_its_own(happened: Service) -> None:
    for tenant, slow in (("acme", 40), ("zeta", 0), ("", 7)):
        happened.add(NOW_S - 400, {0.1: 100 - slow, 3.0: slow or 1}, name="GET /a", tenant=tenant)
        happened.add(NOW_S - 400, {0.1: 100}, name="GET /(unmatched)", tenant=tenant)
    by_tenant = Objective("tenants", "latency", 0.9, by=("tenant",), threshold_s=1.0)
    by_route = Objective("routes", "latency", 0.9, by=("route",), threshold_s=1.0)
    of_acme = Objective("acme", "latency", 0.9, tenant="acme", routes=("GET /a*",), threshold_s=1.0)
    found = {
        (state.name, state.labels.get("tenant"), state.labels.get("route")): (state.good, state.total)
        for state in slo_states(happened.write(), [by_tenant, by_route, of_acme], NOW_S)
    }
    assert found == {
        ("tenants", "acme", None): (160, 200),
        ("tenants", "zeta", None): (200, 201),
        ("routes", None, "GET /a"): (253, 301),
        ("acme", "acme", None): (60, 100),
    }


def test_a_pattern_is_an_objective_for_each_service_that_fits_it(happened: Service) -> None:
    for service in ("shop", "shop-eu", "blog"):
        happened.add(NOW_S - 400, {0.1: 10}, service=service)
    store = happened.write()
    states = slo_states(store, [Objective("up", "availability", 0.99, "shop*")], NOW_S)
    assert {state.labels["service"] for state in states} == {"shop", "shop-eu"}
    (nothing,) = slo_states(store, [Objective("up", "availability", 0.99, "wiki*")], NOW_S)
    assert (nothing.labels, nothing.state) == ({"slo": "up"}, NO_DATA)


def test_names_with_the_signs_of_patterns_fit_themselves(happened: Service) -> None:
    happened.add(NOW_S - 400, {0.1: 10}, service="shop[eu]", name="GET /[id]")
    objective = Objective("up", "availability", 0.99, "shop[eu]", ("GET /[id]",))
    (state,) = slo_states(happened.write(), [objective], NOW_S)
    assert (state.labels["service"], state.total) == ("shop[eu]", 10)


def test_probes_and_other_kinds_of_series_can_be_promised(happened: Service) -> None:
    for at in range(90):
        happened.add(NOW_S - 3000 + at * 30, {0.1: 1}, kind="probe", name="home", service="", outcome="ok")
    happened.add(NOW_S - 290, {0.1: 1}, kind="probe", name="home", service="", outcome="error")
    happened.add(NOW_S - 290, {9.0: 1, 0.1: 1}, kind="task", name="mail", outcome="ok")
    states = slo_states(
        happened.write(),
        [
            Objective("probe", "probe", 0.99, probe="*"),
            Objective("mails", "latency", 0.9, series="task", threshold_s=1.0),
            Objective("jobs", "error_ratio", 0.9, series="task"),
        ],
        NOW_S,
    )
    found = {state.name: (state.labels, state.good, state.total) for state in states}
    assert found["probe"] == ({"slo": "probe", "probe": "home"}, 90, 91)
    assert found["mails"][1:] == (1, 2)
    assert found["jobs"][1:] == (2, 2)


def test_the_burn_down_begins_full_and_ends_with_what_is_left(happened: Service) -> None:
    for ts in hours(29):
        happened.add(ts, {0.02: 1000})
    happened.add(NOW_S - 12 * DAY_S, {0.02: 150}, outcome="500")
    happened.add(NOW_S - 100, {0.02: 30}, outcome="500")
    (state,) = slo_states(happened.write(), [UPTIME], NOW_S, points=True)
    values = [value for _, value in state.points]
    assert values[0] == 1.0
    assert values[-1] == pytest.approx(state.budget_left)
    assert values == sorted(values, reverse=True)
    assert 100 <= len(values) <= 140
    before = [value for ts, value in state.points if ts < NOW_S - 13 * DAY_S]
    after = [value for ts, value in state.points if NOW_S - 11 * DAY_S < ts < NOW_S - DAY_S]
    assert set(before) == {1.0}
    assert after == pytest.approx([1 - 150 / (state.total * 0.001)] * len(after))
    assert after
    (without,) = slo_states(happened.store, [UPTIME], NOW_S)
    assert (without.good, without.total, without.points) == (state.good, state.total, [])


def test_a_replay_burns_at_every_moment_as_a_look_at_that_moment_did(
    tmp_path: Path, service_in: Callable[[Store], Service]
) -> None:
    """The looks read seconds; the replay what they were folded into."""
    store = open_store(f"sqlite:///{tmp_path}/pitstop.db")
    happened = service_in(store)
    for at, ts in enumerate(range(NOW_S - 5 * HOUR_S, NOW_S - 20, 10)):
        happened.add(ts, {0.02: 20 + at % 7})
        if at % 4 == 0 and at > 1400:
            happened.add(ts, {0.8: 1 + at % 3}, outcome="500")
    happened.write(fold=False)
    objectives = [UPTIME, Objective("fast", "latency", 0.99, "shop", threshold_s=0.5)]
    looks = range(settled_s(NOW_S) - 2 * HOUR_S, settled_s(NOW_S), 600)
    live = {
        (end_s, one.objective.name): one.burns for end_s in looks for one in burning(store, objectives, end_s + 7.5)
    }
    happened.write()
    assert any(table.rows for table in store.size().tables if table.name == "rollup_60")
    replay = {course.scope.objective.name: course for course in history(store, objectives, Window(looks[0], NOW_S), 10)}
    again = {(end_s, name): burns(replay[name].read, replay[name].scope.objective, end_s) for end_s, name in live}
    assert again == live
    assert any(burn.firing for found in live.values() for burn in found)
    store.close()


def test_objectives_that_alert_nobody_do_not_burn(happened: Service) -> None:
    happened.add(NOW_S - 100, {2.0: 1000}, outcome="500")
    store = happened.write()
    assert {one.objective.name for one in burning(store, default_objectives(["shop"]), NOW_S)} == {
        "uptime", "P95", "P99",
    }  # fmt: skip
    states = {state.name: state for state in slo_states(store, default_objectives(["shop"]), NOW_S)}
    assert states["errors"].burns == []
    assert {burn.severity for burn in states["uptime"].burns if burn.firing} >= {PAGE}
    assert burning(store, [], NOW_S) == []
    assert slo_states(store, [], NOW_S) == []


class Counting:
    """A store that counts the rows it answers with."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.reads: list[Window] = []

    def rollups(self, window: Window, *arguments: object, **options: object) -> Rollups:
        self.reads.append(window)
        return self._store.rollups(window, *arguments, **options)  # type: ignore[arg-type]


def test_what_is_older_than_three_days_is_read_once_an_hour_and_the_answer_is_the_same(happened: Service) -> None:
    for ts in hours(20):
        happened.add(ts, {0.02: 100, 0.7: 3})
    store = Counting(happened.write())
    routes = Objective("routes", "latency", 0.9, by=("route",), threshold_s=0.5)
    objectives = [*default_objectives(["shop"]), routes]
    kept = Kept()
    end_s = NOW_S // HOUR_S * HOUR_S + 60  # the same hour, whenever this runs
    first = slo_states(store, objectives, end_s, points=True, kept=kept)  # type: ignore[arg-type]
    before = len(store.reads)
    assert min(window.start_s for window in store.reads) < end_s - 29 * DAY_S
    happened.add(end_s - 90, {0.02: 1}, name="GET /new")
    happened.write()
    again = slo_states(store, objectives, end_s, points=True, kept=kept)  # type: ignore[arg-type]
    assert min(window.start_s for window in store.reads[before:]) >= end_s - 3 * DAY_S - HOUR_S
    assert again == slo_states(store, objectives, end_s, points=True)  # type: ignore[arg-type]
    assert {state.labels.get("route") for state in again} == {None, "GET /", "GET /new"}
    assert {state.labels.get("route") for state in first} == {None, "GET /"}


def test_any_number_of_objectives_takes_the_same_few_reads(happened: Service) -> None:
    for ts in hours(20):
        happened.add(ts, {0.02: 100})
    store = Counting(happened.write())
    many = [Objective(f"slo {n}", "latency", 0.9, "shop", threshold_s=0.01 * n + 0.01) for n in range(50)]
    slo_states(store, many, NOW_S)  # type: ignore[arg-type]
    assert len(store.reads) <= 9
