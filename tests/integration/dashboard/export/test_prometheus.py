"""Debian's Prometheus reads a service of several workers, whose workers and dashboard are replaced meanwhile."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest

from pitstop.analyze import overview
from pitstop.app import open_store
from pitstop.dashboard.export.grafana import dashboards
from pitstop.model import Window

_BY_ROUTE = "http_request_method, http_route, http_response_status_code"
_DURATION = "http_server_request_duration_seconds"


def _counts(found: list[dict[str, Any]]) -> dict[tuple[str, ...], int]:
    names = _BY_ROUTE.split(", ")
    return {tuple(one["metric"][name] for name in names): int(float(one["value"][1])) for one in found}


def test_counts_are_those_of_the_client_after_workers_and_dashboard_were_replaced(scene: Any, until: Any) -> None:
    want = dict(scene.asked)
    until(
        lambda: _counts(scene.classic.query(f'sum by ({_BY_ROUTE}) ({_DURATION}_count{{instance=~"127.*"}})')) == want
    )
    until(lambda: _counts(scene.native.query(f"histogram_count(sum by ({_BY_ROUTE}) ({_DURATION}))")) == want)


def test_no_counter_ever_fell(scene: Any) -> None:
    of_the_process = "pitstop_(export|remote_write|notifications)_.*"
    counters = f'{{__name__=~".*_(total|count|bucket|sum)",__name__!~"{of_the_process}",instance=~"127.*"}}'
    found = scene.classic.query(f"{counters}[10m]")
    assert len(found) > 500
    for one in found:
        values = [float(value) for _, value in one["values"]]
        assert values == sorted(values), one["metric"]
    request_counts = [one for one in found if one["metric"]["__name__"] == f"{_DURATION}_count"]
    assert any(float(one["values"][0][1]) < float(one["values"][-1][1]) for one in request_counts)  # seen growing


def test_percentiles_of_native_histograms_are_ours(scene: Any, until: Any) -> None:
    until(lambda: scene.native.value(f"histogram_count(sum({_DURATION}))") == sum(scene.asked.values()))
    store = open_store(scene.store, readonly=True)
    ours = overview(store, Window(0, int(time.time()) + 1)).stats
    store.close()
    for q, wanted in ((0.5, ours.p50_s), (0.95, ours.p95_s), (0.99, ours.p99_s)):
        theirs = scene.native.value(f"histogram_quantile({q}, sum({_DURATION}))")
        assert theirs == pytest.approx(wanted, rel=0.02)
    assert scene.native.query(f"{_DURATION}_bucket") == []  # they came as native ones, not as buckets


def test_remote_write_is_accepted_and_says_the_same(scene: Any, until: Any) -> None:
    sent = f'{_DURATION}_count{{job="pitstop",instance!~"127.*"}}'
    until(lambda: scene.classic.query(sent), 30)
    assert scene.classic.query("pitstop_remote_write_failures_total > 0") == []


def test_promtool_has_nothing_to_say_about_the_metrics(scene: Any, promtool: str) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{scene.serve_port}/metrics", timeout=20) as answer:
        body = answer.read()
    ran = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    assert body.count(b"# TYPE ") >= 50


def test_the_command_prints_the_same_families(scene: Any) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pitstop", "export", "prometheus", "--store", scene.store],
        capture_output=True, check=True, env=os.environ,
    )  # fmt: skip
    with urllib.request.urlopen(f"http://127.0.0.1:{scene.serve_port}/metrics", timeout=20) as answer:
        served = answer.read()
    wanted = [line for line in served.splitlines() if line.startswith(b"http_server_request_duration_seconds")]
    printed = [line for line in ran.stdout.splitlines() if line.startswith(b"http_server_request_duration_seconds")]
    assert printed == wanted


def test_prometheus_takes_the_rules_and_one_of_them_fires(scene: Any, promtool: str, until: Any) -> None:
    path = scene.folder / "prometheus-rules.yml"
    subprocess.run(
        [sys.executable, "-m", "pitstop", "export", "prometheus-rules", "--store", scene.store, "-o", str(path)],
        check=True, env=scene.environment,
    )  # fmt: skip
    ran = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = [line.partition("expr: ")[2] for line in path.read_text().splitlines() if "expr: " in line]
    expressions = [json.loads(line) for line in written]
    assert len(expressions) > 10
    fires = next(one for one in expressions if one.endswith("> 0.001"))
    for server in (scene.native, scene.classic):
        for expression in expressions:
            server.query(expression)
        until(lambda server=server: [one["metric"]["service_name"] for one in server.query(fires)] == ["shop"])


def _expressions() -> list[tuple[str, str, str]]:
    return [
        (name, panel["title"], target["expr"])
        for name, board in dashboards().items()
        for panel in board["panels"]
        for target in panel["targets"]
    ]


def _filled_in(expression: str) -> str:
    for variable, value in (("$__rate_interval", "3m"), ("$__range", "10m"), ("$service", ".*"), ("$tenant", ".*")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


@pytest.mark.parametrize("server", ["native", "classic"])
def test_every_expression_of_every_dashboard_has_data(scene: Any, server: str) -> None:
    prometheus = getattr(scene, server)
    expressions = _expressions()
    assert len(expressions) > 90

    missing = expressions
    deadline_s = time.monotonic() + 20
    while missing and time.monotonic() < deadline_s:
        missing = [one for one in missing if not _told(prometheus.query(_filled_in(one[2])))]
    assert not missing, "\n".join(map(str, missing))


def _told(found: list[dict[str, Any]]) -> bool:
    return any(not math.isnan(float(one["value"][1])) for one in found)
