"""From operations to rows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.record import Child, Record
from pitstop.model.series import COUNTER, OTHER, Series
from pitstop.model.trace import Failure
from pitstop.rollup.codec import decode
from pitstop.rollup.fold import Fold, SeriesCap


def finished(name: str, duration_ns: int, *, outcome: str = "200", nbytes: int = 0, weight: int = 1) -> Record:
    return Record("", "http", name, "", outcome, 1_000, 1_000 + duration_ns, nbytes, weight, None, None)


def query(duration_ns: int) -> Child:
    return Child("db", "SELECT 1", "ok", 1_000, 1_000 + duration_ns, 0, None)


names = st.sampled_from(["GET /a", "GET /b", "POST /a"])
rows = st.lists(
    st.tuples(names, st.integers(0, 10**14), st.sampled_from(["200", "500"]), st.integers(1, 5)), max_size=60
)


@given(rows, st.integers(1, 5))
def test_rows_hold_every_operation_once_with_its_weight(
    operations: list[tuple[str, int, str, int]], pieces: int
) -> None:
    fold = Fold("shop")
    made = []
    for name, duration_ns, outcome, weight in operations:
        made.append(finished(name, duration_ns, outcome=outcome, nbytes=7, weight=weight))
    for i in range(pieces):
        fold.add(made[i::pieces], 60)
    out = fold.take()
    want: Counter[tuple[str, str]] = Counter()
    for name, _, outcome, weight in operations:
        want[name, outcome] += weight
    assert {(s.name, s.outcome): n for s, n in zip(out.series, out.count, strict=True)} == +want
    for i, series in enumerate(out.series):
        mine = [(d, w) for name, d, outcome, w in operations if (name, outcome) == (series.name, series.outcome) and w]
        assert out.sum_ns[i] == sum(d * w for d, w in mine)
        assert out.min_ns[i] == min(d for d, _ in mine)
        assert out.max_ns[i] == max(d for d, _ in mine)
        assert out.nbytes[i] == 7 * out.count[i]
        assert sum(decode(out.hist[i]).values()) == out.count[i]
    assert len(fold.take()) == 0


def test_children_are_filed_under_their_root_with_its_weight_and_tenant() -> None:
    root = finished("GET /a", 10, weight=3)._replace(tenant="acme", children=[query(5), query(7)])
    fold = Fold("shop")
    fold.add([root], 0)
    out = fold.take()
    assert dict(zip(out.series, out.count, strict=True)) == {
        Series("shop", "acme", "http", "GET /a", "", "200"): 3,
        Series("shop", "acme", "db", "SELECT 1", "GET /a", "ok"): 6,
        Series("shop", "acme", "part", "db", "GET /a", ""): 3,
    }


def test_a_request_that_repeats_a_statement_is_a_series_of_that_statement_with_rows_times_and_line() -> None:
    line = {"line": "shop/orders.py:12 in list_orders"}
    loop = [Child("db", "SELECT item", "ok", 10 * i, 10 * i + 9, 1, line) for i in range(100, 107)]
    root = Record("", "http", "GET /a", "", "200", 1_000, 1_100, 0, 2, loop, None)
    fold = Fold("shop")
    seen = fold.add([root], 0)
    out = fold.take()
    at = [series.kind for series in out.series].index("n_plus_one")
    assert out.series[at] == Series("shop", "", "n_plus_one", "SELECT item", "GET /a", line["line"])
    assert (out.count[at], out.sum_ns[at], out.nbytes[at]) == (2, 2 * 7 * 9, 2 * 7)
    assert seen.repeats[id(root)][0].times == 7


def test_a_failure_is_counted_by_fingerprint_route_and_type_with_weight() -> None:
    failure = Failure("00ff", "builtins.KeyError", "…", "shop/a.py:1 in a", "shop/a.py:1 in a")
    failed = finished("GET /a", 10, outcome="500", weight=3)._replace(failure=failure, tenant="acme")
    fold = Fold("shop")
    assert fold.add([failed, finished("GET /a", 10)], 0).failures == [failed]
    out = fold.take()
    counts = dict(zip(out.series, out.count, strict=True))
    assert counts[Series("shop", "acme", "error", "00ff", "GET /a", "builtins.KeyError")] == 3


def test_pieces_of_a_root_that_runs_on_are_divided_once_it_ends() -> None:
    fold = Fold("shop")
    for at in (100, 200):
        piece = [Child("db", "SELECT 1", "ok", at, at + 50, 0, None)]
        fold.add([Record("", "", "GET /a", "", "", 50, at + 50, 0, 1, piece, None)], 0)
    last = [Child("template", "a.html", "ok", 120, 320, 0, None)]
    root = Record("", "http", "GET /a", "", "200", 50, 350, 0, 1, last, None)
    whole = fold.add([root], 0).wholes[id(root)]
    assert [child[1] for child in whole.children] == ["SELECT 1", "SELECT 1", "a.html"]
    out = fold.take()
    parts = {s.name: ns for s, ns in zip(out.series, out.sum_ns, strict=True) if s.kind == "part"}
    assert parts == {"db": 100, "template": 120}
    counts = {s.name: n for s, n in zip(out.series, out.count, strict=True) if s.kind == "db"}
    assert counts == {"SELECT 1": 2}


def test_beyond_the_cap_series_share_a_name_and_are_counted() -> None:
    cap = SeriesCap(per_kind=10)
    fold = Fold("shop", cap)
    fold.add([finished(f"GET /{i}", 5) for i in range(100)], 0)
    fold.add([finished(f"GET /{i}", 5) for i in range(100)], 0)
    out = fold.take()
    counts = {s.name: n for s, n in zip(out.series, out.count, strict=True)}
    assert len(counts) == 11
    assert counts[OTHER] == 180
    assert cap.folded == 180
    assert sum(counts.values()) == 200


def test_a_flood_of_tenants_is_bounded_too() -> None:
    cap = SeriesCap(per_kind=10, tenants=5)
    fold = Fold("shop", cap)
    for i in range(200):
        fold.add([finished("GET /", 5)._replace(tenant=f"t{i}")], 0)
    out = fold.take()
    assert len({s.tenant for s in out.series}) == 6
    assert sum(out.count) == 200


def test_counters_hold_calls_and_amounts() -> None:
    fold = Fold("shop")
    fold.add_counts([("orders", 1), ("orders", 2.5)], 0)
    out = fold.take()
    assert out.series == [Series("shop", "", COUNTER, "orders", "", "")]
    assert (out.count, out.sum_ns, out.hist) == ([2], [3_500_000_000], [b""])
