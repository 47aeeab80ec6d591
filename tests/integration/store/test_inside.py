"""What every store does with traces, errors and profiles, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitstop.model import OTHER, Batch, TraceMatch, Window
from pitstop.model.trace import decode_spans
from pitstop.store.memory import MemoryStore
from pitstop.store.sqlite import SqliteStore
from pitstop.store.stacks import FRAME_CHARS, MOST_FRAMES

if TYPE_CHECKING:
    from conftest import HandClock, Make, Settle

    from pitstop.model import Store, Traces

S = 10**9
DAY_S = 86_400


def around(make: Make) -> Window:
    return Window(make.NOON - 100 * DAY_S, make.NOON + 100 * DAY_S)


def rows_of(traces: Traces) -> list[tuple[object, ...]]:
    return list(zip(*traces.columns(), strict=True))


def test_a_trace_comes_back_as_it_went_in(store: Store, make: Make) -> None:
    given = make.traces(
        [
            {"trace_id": "not hex", "span_id": "00ff00ff00ff00ff", "parent_id": "1" * 16, "tenant": "acme",
             "outcome": "500", "reason": "failed", "weight": 3, "fingerprint": "feedfacefeedface", "left_out": 9,
             "worker": "elsewhere", "kind": "task", "nbytes": 0, "duration_ns": 1 << 50},
            {"start_ns": make.NOON * S + 5, "trace_id": "AB" * 16, "body": b"", "spans": 0},
        ]
    )  # fmt: skip
    store.append(make.batch(traces=given))
    got = store.traces(around(make), TraceMatch(), body=True)
    assert rows_of(got) == rows_of(given)[::-1]
    assert decode_spans(got.body[1])[0].name == "SELECT ?"
    assert store.traces(around(make), TraceMatch()).body == [b"", b""]


def test_a_trace_without_a_worker_is_of_the_one_that_wrote_it(store: Store, make: Make) -> None:
    store.append(make.batch(worker="w7", traces=make.traces([{"worker": ""}])))
    assert store.traces(around(make), TraceMatch()).worker == ["w7"]


EVERY = [
    {"start_ns": (1_790_000_000 // DAY_S * DAY_S + 43_200) * S + i * 40_000 * S // 3, "service": service, "name": name,
     "reason": reason, "outcome": outcome, "duration_ns": (i * 7919) % 97 * 10**6 + 10**6}
    for i, (service, name, reason, outcome) in enumerate(
        (service, name, reason, outcome)
        for service in ("shop", "till") for name in ("GET /a", "GET /b") for reason in ("slow", "failed", "sample")
        for outcome in ("200", "500")
    )
]  # fmt: skip


@pytest.mark.parametrize("slowest", [False, True])
@pytest.mark.parametrize(
    "match",
    [TraceMatch(), TraceMatch(service="shop"), TraceMatch(name="GET /a"), TraceMatch(reason="failed"),
     TraceMatch(outcome="500"), TraceMatch(min_ns=40 * 10**6), TraceMatch(max_ns=40 * 10**6),
     TraceMatch(min_ns=20 * 10**6, max_ns=60 * 10**6, reason="slow"), TraceMatch("till", "GET /b", "sample", "200"),
     TraceMatch(service="nobody"), TraceMatch(reason="no such"), TraceMatch("shop", reason="slow", outcome="500")],
)  # fmt: skip
def test_traces_are_chosen_by_every_field_and_ordered(
    store: Store, make: Make, match: TraceMatch, slowest: bool
) -> None:
    store.append(make.batch(traces=make.traces(EVERY)))
    wanted = sorted(
        (
            row
            for row in EVERY
            if all(want in (None, row[field]) for field, want in match._asdict().items() if field[-3:] != "_ns")
            and (match.min_ns or 0) <= row["duration_ns"] < (match.max_ns or 1 << 60)
        ),
        key=lambda row: (row["duration_ns"], row["start_ns"]) if slowest else (row["start_ns"], 0),
        reverse=True,
    )
    for limit in (0, 1, 5, 100):
        got = store.traces(around(make), match, limit=limit, slowest=slowest)
        assert got.start_ns == [row["start_ns"] for row in wanted[:limit]]


def test_of_traces_of_one_second_the_latest_are_listed(store: Store, make: Make) -> None:
    order = (5, 1, 4, 2, 3)
    store.append(make.batch(traces=make.traces([{"start_ns": make.NOON * S + i} for i in order])))
    assert [ns % S for ns in store.traces(around(make), TraceMatch(), limit=3).start_ns] == [5, 4, 3]


def test_windows_of_the_inside_hold_their_start_and_not_their_end(store: Store, make: Make) -> None:
    minute = make.NOON // 60 * 60
    store.append(
        make.batch(
            traces=make.traces([{"start_ns": (minute + i) * S + 7} for i in (0, 60, 120)]),
            errors=make.errors([{"ts": minute + i, "fingerprint": f"{i:016x}"} for i in (0, 60, 120)]),
            profiles=make.profiles([(minute + i, f"a;{i}", 1) for i in (0, 60, 120)]),
        )
    )
    window = Window(minute + 60, minute + 120)
    assert store.traces(window, TraceMatch()).ts == [minute + 60]
    assert store.traces(window, TraceMatch(), slowest=True).ts == [minute + 60]
    assert store.errors(window).fingerprint == [f"{60:016x}"]
    assert store.profiles(window).stack == ["a;60"]
    assert store.profiles(window).ts == [minute + 60]


def test_a_trace_is_put_together_from_services_and_workers(store: Store, make: Make) -> None:
    parts = [
        {"trace_id": "c0" * 16, "start_ns": make.NOON * S + after, "service": service, "kind": kind, "span_id": span}
        for after, service, kind, span in ((3, "mail", "task", "3" * 16), (1, "shop", "http", "1" * 16))
    ]
    store.append(make.batch(worker="w1", traces=make.traces(parts)))
    last = {"trace_id": "c0" * 16, "start_ns": make.NOON * S + 2, "service": "till", "parent_id": "1" * 16}
    store.append(make.batch(worker="w2", traces=make.traces([last, {"start_ns": make.NOON * S}])))
    got = store.trace("c0" * 16)
    assert (got.service, got.kind) == (["shop", "till", "mail"], ["http", "http", "task"])
    assert all(decode_spans(body) for body in got.body)
    assert len(store.trace("no such")) == 0


def test_of_each_failure_and_route_the_newest_row_is_told(store: Store, make: Make) -> None:
    rows = [
        {"ts": make.NOON + 5, "message": "newest", "stack": "other.py:1 in x"},
        {"ts": make.NOON + 1, "message": "older"},
        {"ts": make.NOON + 9, "route": "GET /b", "message": "elsewhere", "trace_id": ""},
        {"ts": make.NOON + 7, "service": "till", "fingerprint": "odd", "message": "at the till"},
    ]
    store.append(make.batch(errors=make.errors(rows)))
    got = store.errors(around(make))
    assert got.message == ["elsewhere", "at the till", "newest"]
    assert got == make.errors([rows[2], rows[3], rows[0]])
    assert store.errors(around(make), service="till").message == ["at the till"]
    assert store.errors(around(make), route="GET /").message == ["at the till", "newest"]
    assert store.errors(around(make), service="shop", route="GET /b").message == ["elsewhere"]
    assert store.errors(Window(make.NOON, make.NOON + 5), route="GET /").message == ["older"]
    assert len(store.errors(around(make), service="nobody")) == 0


def test_stacks_are_added_up_across_minutes_and_workers(
    store: Store, make: Make, clock: HandClock, settle: Settle
) -> None:
    minute = make.NOON // 60 * 60
    for worker in ("w1", "w2"):
        store.append(make.batch(worker=worker, profiles=make.profiles([(minute, "a;b", 2), (minute, "a;b", 1)])))
        store.append(make.batch(worker=worker, profiles=make.profiles([(minute + 60, "a;b", 4), (minute, "a;c", 1)])))
        store.append(make.batch(worker=worker, profiles=make.profiles([(minute, "a;b", 8)], mode="cpu", route="")))
    wanted = {
        ("shop", "wall", "GET /", "a;b"): (14, 280),
        ("shop", "wall", "GET /", "a;c"): (2, 40),
        ("shop", "cpu", "", "a;b"): (16, 320),
    }
    for wait_s in (0, 3600, 2 * DAY_S, 20 * DAY_S):
        clock.pass_s(wait_s)
        settle(store)
        assert make.stacks(store.profiles(around(make))) == wanted
        assert len(store.profiles(around(make), mode="cpu")) == 1
        assert len(store.profiles(around(make), route="")) == 1
        assert len(store.profiles(around(make), service="till")) == 0
        assert len(store.profiles(around(make), service="shop", route="GET /", mode="wall")) == 2


def test_rare_stacks_become_one_and_no_sample_is_lost(
    store: Store, make: Make, clock: HandClock, settle: Settle
) -> None:
    rows = [(make.NOON, f"main;f{i}", 1000 if i < 120 else 1) for i in range(1120)]
    store.append(make.batch(profiles=make.profiles(rows)))
    clock.pass_s(3 * DAY_S)
    settle(store)
    got = make.stacks(store.profiles(around(make)))
    assert sum(samples for samples, _ in got.values()) == 121_000
    assert sum(weight_ns for _, weight_ns in got.values()) == 20 * 121_000
    assert 100 <= len(got) <= 121
    assert got["shop", "wall", "GET /", OTHER][0] >= 1000


def test_endless_stacks_are_cut_in_the_middle(store: Store, make: Make) -> None:
    deep = ";".join(f"f{i} (a.py:{i})" for i in range(5000))
    long = "x" * 5000
    store.append(make.batch(profiles=make.profiles([(make.NOON, deep, 1), (make.NOON, long, 1)])))
    store.append(make.batch(worker="w2", profiles=make.profiles([(make.NOON, deep, 1)])))
    got = {stack: samples for (*_, stack), (samples, _) in make.stacks(store.profiles(around(make))).items()}
    frames = next(stack for stack in got if ";" in stack).split(";")
    assert (len(frames), frames[0], frames[-1]) == (MOST_FRAMES, "f0 (a.py:0)", "f4999 (a.py:4999)")
    assert "…" in frames
    assert min(map(len, got)) == FRAME_CHARS
    assert got[";".join(frames)] == 2


def test_a_retried_batch_adds_nothing_to_the_inside(store: Store, make: Make, clock: HandClock, settle: Settle) -> None:
    batch = make.batch(
        traces=make.traces([{}]), errors=make.errors([{}]), profiles=make.profiles([(make.NOON, "a", 3)])
    )
    store.append(batch)
    store.append(batch)
    clock.pass_s(2 * DAY_S)
    settle(store)
    store.append(batch)
    assert len(store.traces(around(make), TraceMatch())) == len(store.errors(around(make))) == 1
    assert store.profiles(around(make)).samples == [3]
    assert {table.name: table.rows for table in store.size().tables}["trace"] == 1


def test_services_that_only_the_inside_names_are_listed(store: Store, make: Make) -> None:
    store.append(
        make.batch(
            traces=make.traces([{"service": "a"}]), errors=make.errors([{"service": "b"}]),
            profiles=make.profiles([(make.NOON, "x", 1)], service="c"),
        )
    )  # fmt: skip
    assert store.services() == ["a", "b", "c"]


def test_plain_traces_go_after_two_weeks_and_telling_ones_with_the_rest(
    store: Store, make: Make, clock: HandClock, settle: Settle
) -> None:
    reasons = ("sample", "ingested", "slow", "failed", "n+1", "slow query")
    store.append(make.batch(traces=make.traces([{"reason": reason, "name": reason} for reason in reasons])))
    clock.pass_s(13 * DAY_S)
    settle(store)
    assert len(store.traces(around(make), TraceMatch())) == 6
    clock.pass_s(2 * DAY_S)
    settle(store)
    assert set(store.traces(around(make), TraceMatch()).reason) == {"slow", "failed", "n+1", "slow query"}
    for _ in range(90):
        clock.pass_s(DAY_S)
        settle(store)
    assert len(store.traces(around(make), TraceMatch())) == 0
    assert {table.name: table.rows for table in store.size().tables}["trace"] == 0


def test_older_samples_and_errors_are_thinned_and_keep_their_weight(
    store: Store, make: Make, clock: HandClock, settle: Settle
) -> None:
    hour = make.NOON // 3600 * 3600
    of = [
        {"start_ns": (hour + 60 * i) * S, "reason": "sample", "weight": 2, "name": f"GET /{i % 2}"} for i in range(60)
    ]
    failed = [{"start_ns": (hour + 60 * i) * S, "reason": "failed"} for i in range(60)]
    errors = [{"ts": hour + 60 * i, "message": f"{i}"} for i in range(60)]
    store.append(make.batch(traces=make.traces([*of, *failed]), errors=make.errors(errors)))
    for wait_s, left in ((0, 60), (2 * 3600, 12), (DAY_S, 2)):
        clock.pass_s(wait_s + 3600 if wait_s else 0)
        settle(store)
        got = store.traces(around(make), TraceMatch(reason="sample"))
        assert (len(got), sum(got.weight)) == (left, 120)
        assert len(store.traces(around(make), TraceMatch(reason="failed"))) == 60
        assert store.errors(around(make)).message == ["59"]
    assert got.ts == [hour + 59 * 60, hour + 58 * 60]
    assert {table.name: table.rows for table in store.size().tables}["error"] == 1


def test_prune_deletes_the_inside_as_it_said(store: Store, make: Make, settle: Settle) -> None:
    days = [make.NOON // DAY_S * DAY_S - day * DAY_S for day in (0, 1, 5, 6)]
    store.append(
        make.batch(
            traces=make.traces([{"start_ns": day * S} for day in days]),
            errors=make.errors([{"ts": day, "fingerprint": f"{day:016x}"} for day in days]),
            profiles=make.profiles([(day, "a", 1) for day in days]),
        )
    )
    settle(store)
    would = store.prune(days[1], dry_run=True)
    assert len(store.errors(around(make))) == 4
    assert store.prune(days[1]) == would >= 6
    assert store.traces(around(make), TraceMatch()).ts == store.errors(around(make)).ts == days[:2]
    assert store.profiles(around(make)).samples == [2]
    assert store.prune(days[1], dry_run=True) == 0


what = st.tuples(
    st.integers(0, 20 * DAY_S), st.sampled_from(["a;b", "a;c", "a;b;d"]), st.integers(1, 9), st.sampled_from("xy")
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.tuples(st.lists(what, max_size=6), st.sampled_from([1, 70, 4000, DAY_S, 3 * DAY_S])), max_size=8),
    edges=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=4),
)
def test_profiles_equal_a_plain_sum_whenever_they_come_and_are_folded(
    make: Make,
    clock: HandClock,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[list[tuple[int, str, int, str]], int]],
    edges: list[tuple[int, int]],
) -> None:
    clock.wall_s = float(make.NOON)
    stores = [
        SqliteStore(str(tmp_path_factory.mktemp("p") / "p.db"), clock=clock), MemoryStore("p", clock=clock)
    ]  # fmt: skip
    everything: list[tuple[int, str, int, str]] = []
    for seq, (rows, wait_s) in enumerate(steps):
        now = int(clock.now_s())
        made = [(now - late, stack, samples, route) for late, stack, samples, route in rows]
        everything += made
        for store in stores:
            for n, route in enumerate("xy"):
                profiles = make.profiles([row[:3] for row in made if row[3] == route], route=route)
                store.append(Batch(f"w{n}", seq + 1, profiles=profiles))
            store.upkeep()
        clock.pass_s(wait_s)
    day = int(clock.now_s()) // DAY_S * DAY_S
    for back, length in edges:
        window = Window(day - back * DAY_S, day - (back - length) * DAY_S)
        wanted: dict[tuple[str, str], int] = {}
        for ts, stack, samples, route in everything:
            if window.start_s <= ts < window.end_s:
                wanted[route, stack] = wanted.get((route, stack), 0) + samples
        for store in stores:
            got = make.stacks(store.profiles(window))
            assert {(key[2], key[3]): samples for key, (samples, _) in got.items()} == wanted
    for store in stores:
        store.close()
