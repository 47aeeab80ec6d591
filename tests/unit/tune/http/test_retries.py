"""Whether a call is tried again, by the rules of RFC 9110 and within its budget."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import SettingError
from pitstop.tune.http import Retries, RetryBudget
from pitstop.tune.http.budget import BURST
from pitstop.tune.http.hosts import MOST_HOSTS, Host, Hosts
from pitstop.tune.http.retrying import LONGEST_DROP_S, Send, Wait, exchange


class HandClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def tried(
    outcomes: list[Any], request: httpx.Request | None = None, *, retries: Retries | None = None, took_s: float = 0.0
) -> tuple[list[float], Any, Host]:
    """Waits before each further try, what came in the end, and the host; each try takes `took_s`."""
    clock, waits, host = HandClock(), [], Host("api", RetryBudget())
    request = request or httpx.Request("GET", "http://api/", extensions={"timeout": {"read": 10.0, "connect": None}})
    steps = exchange(request, retries or Retries(), host, clock, random.Random(7))
    left, outcome = list(outcomes), None
    try:
        while True:
            step = steps.send(outcome)
            if isinstance(step, Send):
                clock.now_s += took_s
                outcome = left.pop(0)
            else:
                assert isinstance(step, Wait)
                waits.append(step.seconds)
                clock.now_s += step.seconds
                outcome = None
    except StopIteration as stop:
        return waits, stop.value, host
    except httpx.TransportError as error:
        return waits, error, host


REFUSED = httpx.ConnectError("refused")
HUNG = httpx.ReadTimeout("hung")
CUT = httpx.RemoteProtocolError("cut")


@pytest.mark.parametrize(
    ("method", "outcome", "again"),
    [
        ("GET", httpx.Response(503), True),
        ("GET", httpx.Response(500), False),
        ("GET", httpx.Response(429), True),
        ("PUT", httpx.Response(502), True),
        ("DELETE", HUNG, True),
        ("GET", CUT, True),
        ("POST", httpx.Response(503), False),
        ("POST", HUNG, False),
        ("PATCH", CUT, False),
        ("POST", REFUSED, True),
        ("POST", httpx.PoolTimeout("none free"), True),
        ("GET", httpx.UnsupportedProtocol("gopher"), False),
        ("GET", httpx.Response(200), False),
    ],
)
def test_what_may_be_done_twice_is_tried_again(method: str, outcome: Any, *, again: bool) -> None:
    fine = httpx.Response(200)
    waits, end, _ = tried([outcome, fine], httpx.Request(method, "http://api/", content=b"x"))
    assert len(waits) == again
    assert end is (fine if again else outcome)


def test_a_body_that_is_used_up_is_not_sent_again() -> None:
    request = httpx.Request("PUT", "http://api/", content=iter([b"piece"]))
    assert tried([httpx.Response(503), httpx.Response(200)], request)[1].status_code == 503
    assert tried([REFUSED, httpx.Response(200)], request)[1].status_code == 200  # nothing of it was sent


def test_the_last_failure_is_what_the_caller_gets() -> None:
    waits, end, _ = tried([HUNG, CUT, REFUSED])
    assert (len(waits), end) == (2, REFUSED)


def test_retry_after_is_waited_for_unless_it_is_past_the_deadline() -> None:
    asks = httpx.Response(503, headers={"retry-after": "3"})
    waits, end, _ = tried([asks, httpx.Response(200)])
    assert end.status_code == 200
    assert 3 <= waits[0] <= 5
    waits, end, host = tried([asks, httpx.Response(200)], retries=Retries(total_s=2))
    assert (waits, end) == ([], asks)
    assert host.counts["retries_refused"] == 0
    dated = httpx.Response(
        429, headers={"date": "Sat, 21 Nov 2026 20:00:00 GMT", "retry-after": "Sat, 21 Nov 2026 20:00:04 GMT"}
    )
    assert 4 <= tried([dated, httpx.Response(200)])[0][0] <= 6


def test_a_try_has_no_more_time_than_is_left() -> None:
    clock = HandClock()
    request = httpx.Request("GET", "http://api/", extensions={"timeout": {"read": 10.0, "pool": None}})
    steps = exchange(request, Retries(total_s=12), Host("api", RetryBudget()), clock, random.Random(1))
    assert next(steps) == Send({"read": 10.0, "pool": 12.0})
    clock.now_s = 9
    assert isinstance(steps.send(HUNG), Wait)
    clock.now_s = 10
    assert steps.send(None) == Send({"read": 2.0, "pool": 2.0})


def test_a_call_that_is_never_tried_again_has_the_time_it_asks_for() -> None:
    asked = {"read": 120.0, "pool": None}
    request = httpx.Request("GET", "http://api/", extensions={"timeout": asked})
    steps = exchange(request, Retries(most=0), Host("api", RetryBudget()), HandClock(), random.Random(1))
    assert next(steps) == Send(asked)


def test_an_answer_is_let_go_of_in_what_is_left_of_the_time() -> None:
    clock = HandClock()
    steps = exchange(
        httpx.Request("GET", "http://api/"), Retries(), Host("api", RetryBudget()), clock, random.Random(1)
    )
    next(steps)
    again = steps.send(httpx.Response(503))
    assert isinstance(again, Wait)
    assert again.drop_s == LONGEST_DROP_S
    steps.send(None)
    clock.now_s = 29.85
    again = steps.send(httpx.Response(503))
    assert isinstance(again, Wait)
    assert again.drop_s < LONGEST_DROP_S
    assert again.drop_s == pytest.approx(30 - 29.85 - again.seconds)


@given(
    st.lists(st.one_of(st.just("call"), st.just("retry"), st.floats(0, 5)), max_size=300),
    st.floats(0, 1),
    st.floats(0, 5),
)
def test_retries_never_exceed_their_budget(doings: list[Any], ratio: float, free_per_s: float) -> None:
    clock = HandClock()
    budget, calls, retries = RetryBudget(ratio, free_per_s, clock), 0, 0
    for doing in doings:
        if doing == "call":
            budget.earn()
            calls += 1
        elif doing == "retry":
            retries += budget.spend()
        else:
            clock.now_s += doing
        assert retries <= BURST + ratio * calls + free_per_s * clock.now_s + 1e-6


def test_a_host_in_trouble_gets_a_fifth_more_calls_at_most() -> None:
    clock, host = HandClock(), Host("api", RetryBudget(clock_s=HandClock()))
    sends = 0
    for _ in range(1000):
        steps = exchange(httpx.Request("GET", "http://api/"), Retries(), host, clock, random.Random(2))
        outcome = None
        try:
            while True:
                step = steps.send(outcome)
                sends += isinstance(step, Send)
                outcome = httpx.Response(503) if isinstance(step, Send) else None
        except StopIteration:
            pass
    assert 1200 <= sends <= 1000 * 1.2 + BURST
    assert host.counts["retries_refused"] > 0


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingError, match="-1"):
        Retries(most=-1)
    with pytest.raises(SettingError, match="ratio=2"):
        RetryBudget(ratio=2)


def test_hosts_that_come_from_the_data_are_bounded() -> None:
    hosts = Hosts()
    for number in range(MOST_HOSTS * 2):
        hosts.of("https", f"host{number}", None).add("requests")
    metrics = hosts.metrics()
    assert len(metrics) == MOST_HOSTS + 1
    assert metrics["__other__"]["requests"] == MOST_HOSTS
    assert [report.name for report in hosts.reports()] == sorted(metrics)
    assert hosts.of("http", "::1", 80).name == "__other__"
    assert Hosts().of("http", "::1", 81).name == "[::1]:81"
