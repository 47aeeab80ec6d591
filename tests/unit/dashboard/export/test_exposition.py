"""What is told of a store with a little of everything, and by whom it may be asked for."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pitstop.dashboard import Keyring, create_app
from pitstop.dashboard.export import exposition as module
from pitstop.dashboard.export.exposition import Exposition, _unpacked
from pitstop.dashboard.export.families.database import summary
from pitstop.dashboard.export.family import GAUGE, Family
from pitstop.dashboard.export.grafana import dashboards
from pitstop.dashboard.export.negotiation import content_type_for
from pitstop.dashboard.export.protobuf import PROTOBUF_TYPE
from pitstop.dashboard.export.registry import exporters
from pitstop.dashboard.export.text import OPENMETRICS_TYPE, TEXT_TYPE
from pitstop.model import Batch, NotFoundError, Reports, Samples, Series, StoreUnavailableError, Traces, Window
from pitstop.model.watching import Burn, Channel, Component, Incident, RuleState, SloState

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = 'evil"} 1\n# EOF\\ <script>é\x00'
KINDS = (
    ("http", "GET /items/{id}", "", "200"),
    ("http", "GET /items/{id}", "", "500"),
    ("http", "(unmatched)", "", "404"),
    ("websocket", "WS /live", "", "1000"),
    ("db", "SELECT * FROM item WHERE id = ?", "GET /items/{id}", "ok"),
    ("db", "SELECT * FROM item WHERE id = ?", "GET /items/{id}", "error"),
    ("cache", "session", "GET /items/{id}", "hit"),
    ("cache", "session", "GET /items/{id}", "miss"),
    ("cache", "session", "GET /items/{id}", "error"),
    ("http_client", "GET api.example.com:8080", "GET /items/{id}", "200"),
    ("http_client", "GET api", "", "error"),
    ("task", "mail", "", "ok"),
    ("stage", "first byte", "GET /items/{id}", "ok"),
    ("function", "plan", "", "ok"),
    ("queue", "publish mail", "", "ok"),
    ("template", "item.html", "", "ok"),
    ("gc", "generation 2", "", "ok"),
    ("pool_wait", "database connection", "", "ok"),
    ("loop_wait", "loop", "", ""),
    ("transaction", "transaction", "", "ok"),
    ("part", "db", "GET /items/{id}", ""),
    ("n_plus_one", "SELECT 1", "GET /items/{id}", "shop.py:3"),
    ("error", "ab" * 8, "GET /items/{id}", "ValueError"),
    ("counter", "orders", "", ""),
    ("metric", "basket", "", ""),
    ("region", "books", "GET /items/{id}", "hit"),
    ("region", "books", "GET /items/{id}", "stale"),
    ("region", "books", "GET /items/{id}", "miss"),
)
REPORTS = (
    (
        "pool",
        "postgresql://db/shop",
        {"in_use": 3, "idle": 2, "size": 20, "max_overflow": 40, "waits": 7, "waited_s": 0.5},
    ),
    ("pressure", "", {"level": "high", "used_bytes": 9, "limit_bytes": 10}),
    ("limiter", "api", {"limit": 12.5, "refused": {"low": 4}}),
    ("object_pool", "parsers", {"saved_s": -0.25}),
    ("pool", "damaged", {"in_use": "many"}),
)
READINGS = {
    "process.memory.rss_bytes": 9e7, "process.cpu_ratio": 0.25, "gc.collections.gen2": 1.0, "requests.in_flight": 3.0,
    "pitstop.dropped": 7.0, "pitstop.overhead_ratio": 0.001, HOSTILE: 4.0, "event_loop.lag_s": 0.001,
}  # fmt: skip
SLO = SloState(
    "uptime", "availability", {"service": "shop"}, 0.999, None, Window(0, 86_400), "30d", 99, 100, 0.99, -9.0, None,
    [Burn("page", 14.4, 3600, 300, 20.0, None, False)], "firing", "burns",
)  # fmt: skip


class Watching:
    """Somebody who watches and has found something."""

    def slos(self, **_: Any) -> list[SloState]:
        return [SLO]

    def incidents(self, *_: Any, **__: Any) -> list[Incident]:
        labels = {"service": "shop", "route": HOSTILE}
        made = Incident(1, "k", "slow", "page", "firing", labels, "it is slow", 1.0, 0.5, "s", 0.0)
        return [made, made._replace(id=2, silenced="by me"), made._replace(id=3, state="pending")]

    def rules(self) -> list[RuleState]:
        return [
            RuleState("slow", "threshold", "page", "", "file", "", "firing", 1, 0, checked_s=5.0, took_s=0.01),
            RuleState("bad", "threshold", "page", "", "file", "", "no data", 0, 0, problem="no such metric"),
        ]

    def channels(self) -> list[Channel]:
        return [Channel("ops", "webhook", "…", ["page"], {}, True, "file", "degraded", "", 2, 1, 40, None)]

    def components(self) -> list[Component]:
        raise NotFoundError("not now")


@pytest.fixture
def filled(store: Any, clock: Any, rows_of: Any) -> Any:
    now_s = int(clock.at_s)
    found = [
        (Series("shop", "acme", *kind), [1_000_000 * (1 + number), 400_000_000]) for number, kind in enumerate(KINDS)
    ]
    found.append((Series(HOSTILE, HOSTILE, "http", HOSTILE, "", HOSTILE), [5]))
    samples = Samples()
    for name, value in READINGS.items():
        samples.ts.append(now_s - 3)
        samples.service.append("shop")
        samples.worker.append("web:1:ab")
        samples.name.append(name)
        samples.value.append(value)
    traces = Traces()
    for name, value in {
        "ts": now_s - 5, "start_ns": (now_s - 5) * 10**9, "trace_id": "ab" * 16, "span_id": "cd" * 8, "parent_id": "",
        "service": "shop", "tenant": "acme", "kind": "http", "name": "GET /items/{id}", "outcome": "200",
        "duration_ns": 400_000_000, "nbytes": 0, "reason": "slow", "weight": 1, "spans": 0, "body": b"", "left_out": 0,
        "fingerprint": "", "worker": "web:1:ab",
    }.items():  # fmt: skip
        if hasattr(traces, name):
            getattr(traces, name).append(value)
    said = Reports()
    for kind, name, body in REPORTS:
        row = (json.dumps(body), kind, name, "shop", now_s - 3, "web:1:ab")
        for field, value in zip(Reports.__slots__, row, strict=True):
            getattr(said, field).append(value)
    store.append(Batch("web:1:ab", 1, rows_of(now_s - 5, found), samples, traces=traces, reports=said))
    return store


def _told(families: Any) -> dict[str, Any]:
    return {family.name: family for family in families}


def _value(family: Any, **labels: str) -> float:
    chosen = [one for one in family.samples if labels.items() <= one.labels.items()]
    assert len(chosen) == 1, chosen
    value: float = chosen[0].value
    return value


def test_both_texts_are_read_by_parsers_of_others_and_say_the_same(filled: Any, clock: Any) -> None:
    exposition = Exposition(filled, clock, Watching())  # type: ignore[arg-type]  # answers what is asked of it here
    text = _told(parse_text(exposition.body(TEXT_TYPE).decode()))
    openmetrics = _told(parse_openmetrics(exposition.body(OPENMETRICS_TYPE).decode()))
    process = {name for name in text if name.startswith("pitstop_export_")} | {"pitstop_store_disk_free_bytes"}
    process |= {"pitstop_store_disk_free_ratio", "pitstop_store_data_bytes", "pitstop_store_log_bytes"}
    for name in set(text) - process:
        assert sorted(map(str, ((s.name, s.labels, s.value) for s in text[name].samples))) == sorted(
            map(str, ((s.name, s.labels, s.value) for s in openmetrics[name].samples))
        ), name
    assert len(text) >= 80


def test_figures_are_those_of_the_store(filled: Any, clock: Any) -> None:
    told = _told(parse_text(Exposition(filled, clock, Watching()).body(TEXT_TYPE).decode()))  # type: ignore[arg-type]
    route = {"http_request_method": "GET", "http_route": "/items/{id}", "tenant": "acme"}
    requests = told["http_server_request_duration_seconds"]
    counts = {s.labels["http_response_status_code"]: s.value for s in requests.samples if s.name.endswith("_count")}
    assert (counts["200"], counts["500"], counts["404"], counts[HOSTILE]) == (2, 2, 2, 1)
    assert _value(told["http_server_response_body_size_bytes"], http_response_status_code="200") == 200
    assert _value(told["pitstop_http_request_recent_seconds"], percentile="p99", **route) == pytest.approx(
        0.4, rel=0.011
    )
    assert _value(told["pitstop_db_statement_calls"], db_query_text="SELECT * FROM item WHERE id = ?") == 4
    assert _value(told["pitstop_db_statement_errors"]) == 2
    assert [_value(told[f"pitstop_cache_{name}"], cache="session") for name in ("hits", "misses", "errors")] == [
        2,
        2,
        2,
    ]
    assert [_value(told[f"pitstop_cache_region_{name}"], region="books") for name in ("hits", "stale", "misses")] == [
        2,
        2,
        2,
    ]
    pool = {"service_instance_id": "web:1:ab", "pool": "postgresql://db/shop"}
    assert _value(told["pitstop_pool_connections_in_use"], **pool) == 3
    assert _value(told["pitstop_pool_connections_in_use"], pool="damaged") == 0
    assert _value(told["pitstop_pool_waits"], **pool) == 7
    assert _value(told["pitstop_pool_longest_wait_seconds"], **pool) == 0.5
    assert _value(told["pitstop_memory_pressure"], level="high") == 1
    assert _value(told["pitstop_memory_pressure"], level="critical") == 0
    assert _value(told["pitstop_limiter_limit"], limiter="api") == 12.5
    assert _value(told["pitstop_limiter_refused"], priority="low") == 4
    assert _value(told["pitstop_object_pool_saved_seconds"], pool="parsers") == -0.25
    assert _value(told["pitstop_tenant_request_errors"], tenant="acme") == 2
    assert _value(told["pitstop_app_events"], event="orders") == 2
    assert _value(told["process_memory_usage_bytes"], service_instance_id="web:1:ab") == 9e7
    assert _value(told["pitstop_recorder_dropped_operations"], service_instance_id="web:1:ab") == 7
    assert _value(told["pitstop_app_reading"]) == 4
    assert _value(told["pitstop_workers"], service_name="shop") == 1
    assert _value(told["pitstop_slo_budget_left_ratio"], slo="uptime", window="30d") == -9
    assert _value(told["pitstop_slo_burn_rate"], over="1h") == 20
    assert _value(told["pitstop_alerts"], severity="page", state="firing") == 2
    assert _value(told["pitstop_alert_firing"], quiet="silenced") == 1
    assert _value(told["pitstop_notifications_sent"], channel="ops") == 40
    assert _value(told["pitstop_channel_state"], state="degraded") == 1
    assert "pitstop_component_state" not in told  # it could not be told, and nothing else is missing for it
    assert _value(told["pitstop_cardinality_warning"], limit="series") == 0


def test_exemplars_lead_to_the_traces_that_were_kept(filled: Any, clock: Any) -> None:
    told = _told(parse_openmetrics(Exposition(filled, clock).body(OPENMETRICS_TYPE).decode()))
    found = [s for s in told["http_server_request_duration_seconds"].samples if s.exemplar]
    assert [(s.labels["le"], s.exemplar.labels["trace_id"], s.exemplar.value) for s in found] == [
        ("0.5", "ab" * 16, 0.4)
    ]


def test_workers_that_said_nothing_for_long_are_told_no_more(filled: Any, clock: Any) -> None:
    clock.at_s += 60
    told = _told(parse_text(Exposition(filled, clock).body(TEXT_TYPE).decode()))
    assert "process_memory_usage_bytes" not in told
    assert "http_server_request_duration_seconds" in told


def test_an_exporter_that_fails_is_left_out_and_counted(filled: Any, clock: Any, monkeypatch: Any, caplog: Any) -> None:
    def broken(_: Any) -> Iterator[Family]:
        yield Family("before", GAUGE, "Before.", values=[((), 1.0)])
        raise ZeroDivisionError

    monkeypatch.setattr(module, "exporters", lambda: (("broken", broken), *exporters()))
    exposition = Exposition(filled, clock)
    exposition.body(TEXT_TYPE)
    clock.at_s += 5
    told = _told(parse_text(exposition.body(TEXT_TYPE).decode()))
    assert _value(told["pitstop_export_failures"], exporter="broken") >= 1
    assert "http_server_request_duration_seconds" in told
    assert "the exporter 'broken' failed" in caplog.text


def test_names_that_are_cut_alike_are_told_once(filled: Any, clock: Any) -> None:
    samples = Samples()
    for middle in "ab":
        samples.ts.append(int(clock.at_s))
        samples.service.append("shop")
        samples.worker.append("web:1:ab")
        samples.name.append("x" * 200 + middle + "y" * 200)
        samples.value.append(1.0)
    filled.append(Batch("web:2:ab", 1, samples=samples))
    told = _told(parse_text(Exposition(filled, clock).body(TEXT_TYPE).decode()))
    assert len(told["pitstop_app_reading"].samples) == 2  # this one, and one of those before


def test_two_servers_within_a_second_get_the_same_without_work(filled: Any, clock: Any) -> None:
    exposition = Exposition(filled, clock)
    assert exposition.packed(TEXT_TYPE) is exposition.packed(TEXT_TYPE)
    assert exposition.ourselves.scrapes == 1


def test_who_asks_while_another_waits_for_long_is_sent_away(filled: Any, clock: Any, monkeypatch: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(_: Any) -> Iterator[Family]:
        inside.set()
        assert go_on.wait(10)
        yield Family("at_last", GAUGE, "At last.", values=[((), 1.0)])

    monkeypatch.setattr(module, "exporters", lambda: (("slow", slow),))
    exposition = Exposition(filled, clock, patience_s=0.01)
    found: list[bytes] = []
    first = threading.Thread(target=lambda: found.append(exposition.body(TEXT_TYPE)))
    first.start()
    assert inside.wait(10)
    with pytest.raises(StoreUnavailableError, match="ask again"):
        exposition.body(TEXT_TYPE)
    go_on.set()
    first.join()
    assert found[0].endswith(b"at_last 1.0\n")
    assert exposition.body(TEXT_TYPE) == found[0]


def test_more_series_than_are_good_are_warned_of(store: Any, write: Any, clock: Any, request_series: Any) -> None:
    write(int(clock.at_s), *[(request_series(f"GET /{number}"), [10]) for number in range(1001)])
    told = _told(parse_text(Exposition(store, clock).body(TEXT_TYPE).decode()))
    assert _value(told["pitstop_cardinality_series"], kind="http", service_name="shop") == 1001
    assert _value(told["pitstop_cardinality_warning"], limit="series") == 1
    assert _value(told["pitstop_cardinality_warning"], limit="cap") == 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT a, b FROM orders WHERE id = ?", "SELECT orders"),
        ('INSERT INTO "shop"."item" VALUES (?)', 'INSERT "shop"."item"'),
        ("UPDATE item SET a = ?", "UPDATE item"),
        ("  (select 1)", "SELECT"),
        ("", ""),
        ("PRAGMA table_info", "PRAGMA"),
    ],
)
def test_a_statement_is_summed_up_by_what_it_does_to_which_table(statement: str, said: str) -> None:
    assert summary(statement) == said


_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
_PROMETHEUS_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "given_type"),
    [
        ("", TEXT_TYPE),
        ("*/*", TEXT_TYPE),
        ("text/html,*/*;q=0.1", TEXT_TYPE),
        ("application/json", TEXT_TYPE),
        (_PROMETHEUS, OPENMETRICS_TYPE),
        (_PROMETHEUS_NATIVE, PROTOBUF_TYPE),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT_TYPE),
        ("application/openmetrics-text;version=2.0.0", TEXT_TYPE),
        ("application/openmetrics-text;q=0", TEXT_TYPE),
        ("text/plain;q=x, application/openmetrics-text;q=0.1", OPENMETRICS_TYPE),
    ],
)
def test_the_client_gets_what_it_wants_most(accept: str, given_type: str) -> None:
    assert content_type_for(accept) == given_type


@given(st.text(max_size=200))
def test_any_accept_header_has_an_answer(accept: str) -> None:
    assert content_type_for(accept) in {TEXT_TYPE, OPENMETRICS_TYPE, PROTOBUF_TYPE}


@pytest.fixture
def ask(filled: Any, clock: Any, tmp_path: Any) -> Any:
    keyring = Keyring(tmp_path / "auth.db")
    app = create_app(filled, auth=keyring, hosts=["metrics.example.com"], clock=clock)

    def get(client: str = "127.0.0.1", host: str = "127.0.0.1:9200", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with TestClient(app, client=(client, 5), headers={"host": host, **named}) as opened:
            return opened.get("/metrics")

    get.token = keyring.add_token("prometheus")  # type: ignore[attr-defined]
    return get


def test_metrics_are_open_on_this_machine_only(ask: Any) -> None:
    assert ask().status_code == 200
    assert ask(client="::1", host="localhost:9200").status_code == 200
    assert ask(client="10.0.0.7").status_code == 401
    assert ask(host="metrics.example.com").status_code == 401  # a proxy on this machine
    for header in ("x_forwarded_for", "forwarded", "x_real_ip", "via"):
        assert ask(**{header: "127.0.0.1"}).status_code == 401
    assert ask(client="testclient").status_code == 401
    assert ask(host="evil.example.com").status_code == 400


def test_a_token_opens_them_from_elsewhere(ask: Any) -> None:
    assert ask(client="10.0.0.7", authorization=f"Bearer {ask.token}").status_code == 200
    assert ask(client="10.0.0.7", authorization="Bearer wrong").status_code == 401


def test_metrics_are_compressed_for_whom_it_helps(ask: Any) -> None:
    plain = ask(accept_encoding="identity")
    assert "content-encoding" not in plain.headers
    assert plain.headers["content-type"] == TEXT_TYPE
    packed = ask(accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text.startswith("# HELP")
    assert len(gzip.compress(plain.content)) < len(plain.content) / 5


def test_every_dashboard_has_panels_that_do_not_overlap_and_expressions_that_are_closed() -> None:
    found = dashboards()
    assert sorted(found) == [
        f"pitstop-{name}"
        for name in ("cache", "database", "ourselves", "requests", "runtime", "slos", "stages", "tenants")
    ]
    for name, board in found.items():
        assert board["uid"] == name
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            own = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not own & cells
            assert place["x"] + place["w"] <= 24
            cells |= own
            for target in panel["targets"]:
                assert target["expr"].count("(") == target["expr"].count(")")


def test_other_threads_go_on_while_ten_thousand_series_are_written(
    store: Any, write: Any, clock: Any, request_series: Any
) -> None:
    write(int(clock.at_s), *[(request_series(f"GET /{number}"), [10**6, 10**8]) for number in range(4000)])
    exposition = Exposition(store, clock)
    waits, done = [], threading.Event()

    def tick() -> None:
        while not done.is_set():
            began = time.perf_counter()
            time.sleep(0.001)
            waits.append(time.perf_counter() - began)

    ticking = threading.Thread(target=tick)
    ticking.start()
    began = time.perf_counter()
    body = exposition.body(TEXT_TYPE)
    took = time.perf_counter() - began
    done.set()
    ticking.join()
    assert body.count(b"\n") > 70_000
    # the interpreter switches threads every few milliseconds: nobody waits for as long as the writing takes
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < max(10 * sys.getswitchinterval(), took / 5)


@pytest.mark.parametrize("size_bytes", [0, 1, 65_536, 65_537, 3_000_000])
def test_what_is_sent_in_pieces_is_the_whole(size_bytes: int) -> None:
    whole = bytes(i * i % 251 for i in range(size_bytes))
    pieces = list(_unpacked(gzip.compress(whole, 1)))
    assert b"".join(pieces) == whole
    assert max(map(len, pieces)) <= 65_536
