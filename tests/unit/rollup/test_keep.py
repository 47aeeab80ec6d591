"""Which requests become traces, how many, and what each stands for."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model.record import Child, Record
from pitstop.model.trace import FAILED, REPEATED, SAMPLE, SLOW, SLOW_QUERY, Failure, decode_spans
from pitstop.rollup.fold import Fold
from pitstop.rollup.keep import Keeper, Limits

MS = 1_000_000
OFFSET_NS = 1_700_000_000_000_000_000
FAILURE = Failure("00ff", "builtins.KeyError", "…", "shop/a.py:1 in a", "shop/a.py:1 in a")


class Rig:
    """A keeper behind a fold, looked at once a second."""

    def __init__(self, **limits: Any) -> None:
        self.fold = Fold("shop")
        self.told: list[tuple[str, str, int, str]] = []
        self.keeper = Keeper("shop", "w", Limits(**limits), lambda *slow: self.told.append(slow))
        self.now_s = 0.0
        self.kept: Counter[tuple[str, str]] = Counter()
        self.weights: Counter[tuple[str, str]] = Counter()

    def look(self, records: list[Record], *, after_s: float = 1.0) -> Any:
        self.now_s += after_s
        self.keeper.look(records, self.fold.add(records, int(self.now_s)), self.now_s, OFFSET_NS)
        traces, self.errors = self.keeper.take()
        for name, reason, weight in zip(traces.name, traces.reason, traces.weight, strict=True):
            self.kept[name, reason] += 1
            self.weights[name, reason] += weight
        return traces


starts = iter(range(10**12, 10**15, 1000))


def request(ms: float = 5, *, name: str = "GET /a", outcome: str = "200", weight: int = 1, **more: Any) -> Record:
    start_ns = next(starts)
    return Record("", more.pop("kind", "http"), name, "", outcome, start_ns, start_ns + int(ms * MS), 7, weight,
                  more.pop("children", None), None, **more)  # fmt: skip


def query(root_ns: int, at_ms: float, ms: float) -> Child:
    start_ns = root_ns + int(at_ms * MS)
    return Child("db", "SELECT item", "ok", start_ns, start_ns + int(ms * MS), 1, {"line": "a.py:1 in a"}, root_ns)


def with_queries(n: int, each_ms: float, *, ms: float) -> Record:
    plain = request(ms)
    return plain._replace(children=[query(plain.start_ns, i * each_ms, each_ms) for i in range(n)])


def test_each_reason_is_told_the_most_telling_first() -> None:
    rig = Rig(slow_ns=300 * MS, slow_query_ns=30 * MS)
    for record, reason in (
        (request(400, outcome="500"), FAILED),
        (request(1, failure=FAILURE), FAILED),
        (request(400), SLOW),
        (with_queries(7, 40, ms=299), REPEATED),
        (with_queries(1, 31, ms=60), SLOW_QUERY),
        (request(5), SAMPLE),
    ):
        assert rig.look([record], after_s=100).reason == [reason]
    assert rig.look([request(5, outcome="499")], after_s=100).reason == [SAMPLE]


def test_a_route_and_minute_has_one_plain_sample_that_stands_for_all_plain_ones() -> None:
    rig = Rig()
    for _ in range(121):
        rig.look([request(), request(), request(name="GET /b")])
    assert rig.kept == {("GET /a", SAMPLE): 3, ("GET /b", SAMPLE): 3}
    assert rig.weights == {("GET /a", SAMPLE): 242, ("GET /b", SAMPLE): 121}


def test_what_is_slow_for_its_own_route_is_kept_though_it_is_fast_for_others() -> None:
    rig = Rig()
    rng = random.Random(5)
    for _ in range(50):
        rig.look([request(rng.uniform(2, 4)) for _ in range(20)])
    rig.kept.clear()
    rig.look([request(3), request(50), request(2)])
    assert rig.kept[("GET /a", SLOW)] == 1
    assert rig.kept[("GET /a", SAMPLE)] == 0


def test_an_outage_is_held_by_the_budget_and_other_routes_still_have_their_share() -> None:
    rig = Rig(traces_per_s=2)
    for _ in range(300):
        rig.look([*(request(outcome="500", name=f"GET /{i % 5}") for i in range(100)), request(2000, name="GET /slow")])
    assert 600 <= rig.kept.total() <= 620
    assert rig.kept["GET /slow", SLOW] >= 20
    assert rig.weights[("GET /0", FAILED)] >= 300 * 20 * 0.9


def test_while_there_is_budget_every_failure_is_kept_and_the_slowest_stands_for_the_rest() -> None:
    rig = Rig(traces_per_s=2)
    traces = rig.look([request(outcome="500"), request(outcome="502"), request(outcome="500")])
    assert (traces.reason, traces.weight) == ([FAILED] * 3, [1, 1, 1])
    tight = Rig(traces_per_s=0.1)
    traces = tight.look([request(1500), request(3000), request(2000)])
    assert (traces.duration_ns, traces.weight) == ([3000 * MS], [3])


def test_none_are_kept_where_none_are_wanted_but_errors_are() -> None:
    rig = Rig(traces_per_s=0)
    assert len(rig.look([request(2000, outcome="500", failure=FAILURE)])) == 0
    assert len(rig.errors) == 1


requests = st.lists(
    st.tuples(
        st.sampled_from(["GET /a", "GET /b"]), st.sampled_from(["200", "404", "500"]), st.sampled_from([1, 5, 40, 400]),
        st.integers(1, 3), st.booleans(), st.integers(0, 8),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(requests, max_size=8), st.sampled_from([0.01, 0.5, 3]))
def test_weights_and_those_who_wait_add_up_to_all_requests(rounds: list[Any], rate: float) -> None:
    rig = Rig(slow_ns=300 * MS, slow_query_ns=30 * MS, traces_per_s=rate)
    want: Counter[tuple[str, str]] = Counter()
    for drawn in rounds:
        records = []
        for name, outcome, ms, weight, fails, queries in drawn:
            record = request(ms, name=name, outcome=outcome, weight=weight, failure=FAILURE if fails else None)
            each_ms = ms / 10
            below = [query(record.start_ns, i * each_ms, each_ms) for i in range(queries)]
            records.append(record._replace(children=below or None))
            repeats = queries > 5 and (queries * each_ms > 50 or queries > 2)
            reason = (
                FAILED if fails or outcome == "500"
                else SLOW if ms >= 300
                else REPEATED if repeats
                else SLOW_QUERY if queries and each_ms >= 30
                else SAMPLE
            )  # fmt: skip
            want[name, reason] += weight
        rig.look(records)
    got = rig.weights.copy()
    for (_, name), route in rig.keeper._routes.items():
        for reason, waiting in route.waiting.items():
            got[name, reason] += waiting
    assert +got == +want


def test_a_trace_has_the_requests_spans_with_parents_and_where_it_came_from() -> None:
    rig = Rig()
    plain = request(50, caller=(None, b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    start = plain.start_ns
    below = [
        Child("db", "SELECT 1", "ok", start + 20, start + 30, 3, {"line": "a.py:2 in b"}, start + 10),
        Child("function", "price", "ok", start + 10, start + 40, 0, None, start),
        Child("pool_wait", "threads", "ok", start + 20, start + 22, 0, None, start + 999),
    ]
    traces = rig.look([plain._replace(children=below)])
    assert (traces.trace_id, traces.parent_id) == (["4bf92f3577b34da6a3ce929d0e0e4736"], ["00f067aa0ba902b7"])
    assert traces.span_id == [f"{start:016x}"]
    assert (traces.start_ns, traces.ts) == ([start + OFFSET_NS], [(start + OFFSET_NS) // 10**9])
    price, query_, wait = decode_spans(traces.body[0])
    assert price[:6] == (start + 10, 0, "function", "price", "ok", 10)
    assert query_[:9] == (start + 20, start + 10, "db", "SELECT 1", "ok", 20, 10, 3, {"line": "a.py:2 in b"})
    assert (wait.span_id, wait.parent_id) == (start + 21, 0)  # ids are told apart; its parent is not there


def test_a_wait_that_began_with_the_request_is_not_taken_for_the_request() -> None:
    plain = request(9)
    wait = Child("loop_wait", "event loop", "ok", plain.start_ns, plain.start_ns + 3 * MS, 0, None, plain.start_ns)
    traces = Rig().look([plain._replace(children=[wait, query(plain.start_ns, 4, 1)])])
    spans = decode_spans(traces.body[0])
    assert [span.parent_id for span in spans] == [0, 0]
    assert len({traces.span_id[0], *(f"{span.span_id:016x}" for span in spans)}) == 3


def test_a_trace_is_cut_to_its_longest_spans_and_says_how_many_are_missing() -> None:
    rig = Rig(trace_spans=10)
    traces = rig.look([with_queries(200, 1, ms=250)])
    assert (traces.spans, traces.left_out) == ([10], [190])
    assert len(decode_spans(traces.body[0])) == 10


def test_an_error_is_told_once_a_route_and_minute_and_names_its_trace() -> None:
    rig = Rig()
    failing = [request(outcome="500", failure=FAILURE) for _ in range(3)]
    traces = rig.look(failing)
    errors = rig.errors
    assert (errors.route, errors.fingerprint, errors.type) == (["GET /a"], ["00ff"], ["builtins.KeyError"])
    assert errors.trace_id[0] in traces.trace_id
    assert traces.fingerprint == ["00ff"] * 3
    rig.look([request(outcome="500", failure=FAILURE)])
    assert len(rig.errors) == 0
    later = request(outcome="500", failure=FAILURE)
    rig.look([later._replace(start_ns=later.start_ns + 60 * 10**9, end_ns=later.end_ns + 60 * 10**9)])
    assert len(rig.errors) == 1


def test_slow_statements_are_told_of_with_route_and_line() -> None:
    rig = Rig(slow_query_ns=30 * MS)
    rig.look([with_queries(2, 31, ms=70), with_queries(2, 1, ms=70)])
    assert rig.told == [("GET /a", "SELECT item", 31 * MS, "a.py:1 in a")] * 2
    alone = Record("", "db", "SELECT 2", "GET /a", "ok", 0, 40 * MS, 1, 1, None, {"line": "b.py:3 in c"})
    rig.look([alone])
    assert rig.told[2] == ("GET /a", "SELECT 2", 40 * MS, "b.py:3 in c")


def test_a_websocket_is_kept_when_it_failed_and_a_task_like_a_request() -> None:
    rig = Rig()
    ended = [request(90_000, kind="websocket", name="WS /a", outcome=code) for code in ("1000", "1006", "1011")]
    assert rig.look(ended).outcome == ["1011"]
    tasks = [request(kind="task", name="send mail", outcome=outcome) for outcome in ("ok", "error")]
    assert sorted(rig.look(tasks).reason) == [FAILED, SAMPLE]


def test_many_routes_share_a_memory() -> None:
    rig = Rig(traces_per_s=1000)
    rig.look([request(name=f"GET /{i}") for i in range(3000)])
    assert len(rig.keeper._routes) <= 1001
