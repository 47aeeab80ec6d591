"""Who gets in, on a simulated server that becomes slower the more it is given."""

from __future__ import annotations

import heapq
import os
import random
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import SettingError
from pitstop.model.tuned import LIMITER_REPORT
from pitstop.tune.limit.gradient2 import Gradient2
from pitstop.tune.limit.limiter import Limiter, Priority

if TYPE_CHECKING:
    from collections.abc import Callable

S = 1_000_000_000
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class Server:
    """Open-loop arrivals at a server with `workers` that take `service_s` each; the rest queues. Simulated time."""

    def __init__(self, limiter: Limiter | None, *, workers: int = 16, service_s: float = 0.05, seed: int = 1) -> None:
        self.limiter, self.workers, self.service_s = limiter, workers, service_s
        self.rng = random.Random(seed)
        self.now_ns = 1
        self.free_ns = [1] * workers
        self.ends: list[tuple[int, int]] = []
        self.good: Counter[Priority] = Counter()
        self.refused: Counter[Priority] = Counter()
        self.late = 0

    def run(self, seconds: float, per_s: float, mix: dict[Priority, float], deadline_s: float = 0.5) -> None:
        end_ns = self.now_ns + int(seconds * S)
        names, weights = list(mix), list(mix.values())
        while self.now_ns < end_ns:
            self.now_ns += int(self.rng.expovariate(per_s) * S)
            while self.ends and self.ends[0][0] <= self.now_ns:
                at_ns, began_ns = heapq.heappop(self.ends)
                if self.limiter is not None:
                    now_ns, self.now_ns = self.now_ns, at_ns
                    self.limiter.leave(began_ns)
                    self.now_ns = now_ns
            priority = self.rng.choices(names, weights)[0]
            began_ns = self.limiter.enter(priority) if self.limiter is not None else self.now_ns
            if not began_ns:
                self.refused[priority] += 1
                continue
            start_ns = max(self.now_ns, heapq.heappop(self.free_ns))
            finish_ns = start_ns + int(self.service_s * self.rng.uniform(0.7, 1.3) * S)
            heapq.heappush(self.free_ns, finish_ns)
            heapq.heappush(self.ends, (finish_ns, self.now_ns))
            if finish_ns - self.now_ns <= deadline_s * S:
                self.good[priority] += 1
            else:
                self.late += 1


def served(*, limiter: bool) -> tuple[Server, Limiter | None]:
    server = Server(None)
    if not limiter:
        return server, None
    server.limiter = Limiter("test", clock_ns=lambda: server.now_ns)
    return server, server.limiter


NORMAL = {Priority.NORMAL: 1.0}


def test_under_three_times_the_load_goodput_holds_and_without_a_limiter_it_does_not() -> None:
    capacity = 16 / 0.05
    shielded, limiter = served(limiter=True)
    bare, _ = served(limiter=False)
    for server in (shielded, bare):
        server.run(60, capacity * 0.6, NORMAL)
        server.good.clear()
        server.run(60, capacity * 3, NORMAL)
    assert shielded.good[Priority.NORMAL] > 0.85 * capacity * 60
    assert bare.good[Priority.NORMAL] < 0.1 * capacity * 60
    assert limiter is not None
    limiter.close()


def test_more_important_requests_are_served_first() -> None:
    server, limiter = served(limiter=True)
    mix = {Priority.HIGH: 0.2, Priority.NORMAL: 0.4, Priority.LOW: 0.4}
    server.run(30, 200, mix)
    server.refused.clear()
    server.good.clear()
    server.run(60, 16 / 0.05 * 2.5, mix)
    ratio = {each: server.good[each] / (server.good[each] + server.refused[each]) for each in mix}
    assert ratio[Priority.HIGH] > 0.95
    assert ratio[Priority.LOW] < 0.1
    assert ratio[Priority.LOW] < ratio[Priority.NORMAL] < ratio[Priority.HIGH]
    assert limiter is not None
    limiter.close()


def test_the_limit_recovers_when_the_server_does() -> None:
    server, limiter = served(limiter=True)
    assert limiter is not None
    server.run(30, 300, NORMAL)
    server.service_s = 0.5  # whatever it depends on has become slow
    server.run(60, 300, NORMAL)
    low = limiter.limit.limit
    server.service_s = 0.05
    server.run(90, 300, NORMAL)
    server.good.clear()
    server.refused.clear()
    server.run(30, 250, NORMAL)
    assert low < 20
    assert server.refused[Priority.NORMAL] < 0.02 * server.good[Priority.NORMAL]
    limiter.close()


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(Priority)), max_size=200))
def test_what_came_in_goes_out_and_never_more_than_the_limit_is_in(steps: list[tuple[bool, Priority]]) -> None:
    limiter = Limiter("test", limit=Gradient2(initial=8, least=1))
    inside: list[int] = []
    refused: Counter[Priority] = Counter()
    for coming, priority in steps:
        if coming:
            began_ns = limiter.enter(priority)
            if began_ns:
                inside.append(began_ns)
            else:
                refused[priority] += 1
                assert len(inside) >= 4
        elif inside:
            limiter.leave(inside.pop())
        assert limiter.in_flight == len(inside) <= 8
    assert limiter.refused == {each: refused[each] for each in Priority}
    limiter.close()


def test_threads_do_not_lose_count() -> None:
    limiter = Limiter("test", limit=Gradient2(initial=5, least=1))
    most, wrong = [0], []

    def work() -> None:
        for _ in range(3000):
            began_ns = limiter.enter(Priority.HIGH)
            if began_ns:
                most[0] = max(most[0], limiter.in_flight)
                if limiter.in_flight > 200:
                    wrong.append(limiter.in_flight)
                limiter.leave(began_ns)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limiter.in_flight == 0
    assert not wrong
    limiter.close()


def test_shut_for_some_it_refuses_them_all_and_opens_again() -> None:
    limiter = Limiter("test")
    limiter.shut(Priority.NORMAL, "memory is critical")
    assert not limiter.enter(Priority.LOW)
    assert not limiter.enter(Priority.NORMAL)
    assert limiter.enter(Priority.HIGH)
    [report] = limiter.reports()
    assert report.kind == LIMITER_REPORT
    assert report.body["why"] == "shut for normal and below: memory is critical"
    assert report.body["refused"] == {"critical": 0, "high": 0, "normal": 1, "low": 1}
    limiter.shut(None)
    assert limiter.enter(Priority.LOW)
    limiter.close()


def test_one_is_let_in_even_if_the_share_is_none_of_it() -> None:
    limiter = Limiter("test", limit=Gradient2(initial=1, least=1), shares={Priority.LOW: 0.1})
    assert limiter.enter(Priority.LOW)
    assert not limiter.enter(Priority.LOW)
    limiter.close()


def test_a_negative_share_is_refused() -> None:
    with pytest.raises(SettingError, match="-1"):
        Limiter("test", shares={Priority.LOW: -1})


def in_child(wanted: Callable[[], bool]) -> bool:
    """Whether it is so in the child of a fork; one that hangs is ended and says no."""
    pid = os.fork()
    if not pid:
        signal.alarm(10)
        done = 1
        try:
            done = 0 if wanted() else 1
        finally:
            os._exit(done)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@needs_fork
def test_a_fork_while_somebody_is_let_in_does_not_hang_the_child() -> None:
    limiter = Limiter("test")
    with limiter._lock:  # as another thread has it
        assert in_child(lambda: bool(limiter.enter()))
    limiter.close()


@needs_fork
def test_the_child_of_a_fork_begins_empty_and_what_the_parent_let_in_does_not_leave_there() -> None:
    limiter = Limiter("test", limit=Gradient2(initial=2, least=1))
    began_ns = limiter.enter(Priority.HIGH)
    assert limiter.enter(Priority.HIGH)
    assert not limiter.enter(Priority.HIGH)

    def empty() -> bool:
        free = limiter.in_flight == 0 and not limiter.refused[Priority.HIGH]
        limiter.leave(began_ns)  # as a request does that forks
        own_ns = limiter.enter(Priority.HIGH)
        held = limiter.in_flight == 1
        limiter.leave(own_ns)
        return free and held and limiter.in_flight == 0

    assert in_child(empty)
    assert limiter.in_flight == 2
    limiter.close()
