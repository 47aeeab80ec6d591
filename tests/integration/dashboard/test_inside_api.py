"""The inside of requests through the JSON API: right numbers, the commands' names, files that open."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from typing import Any

import pytest

from pitstop.cli import contract_inside
from pitstop.dashboard.api import inside_shapes as shapes

Dashboard = Any  # the fixture of conftest.py, which cannot be imported
SPAN = {"last": "2h"}


def got(dashboard: Dashboard, path: str, **more: Any) -> Any:
    with dashboard.client() as client:
        answer = client.get(f"/api/v1/{path}", params=SPAN | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_statements_have_their_figures_routes_and_repetitions(dashboard: Dashboard) -> None:
    inside = dashboard.inside
    found = got(dashboard, "queries")
    first = found["queries"][0]
    steps = len(range(0, 5340, inside.STEP_S))
    assert first["statement"] == inside.LINES
    assert first["calls"] == 177 * steps
    assert first["rows"] == 177 * steps
    assert first["routes"] == [inside.CHECKOUT]
    assert abs(first["mean_s"] * first["calls"] - first["total_s"]) < 1e-6
    [item] = [row for row in found["queries"] if row["statement"] == inside.ITEM]
    assert item["routes"] == [inside.PRODUCT, inside.CHECKOUT]
    [repeated] = found["n_plus_one"]
    assert (repeated["route"], repeated["count"], repeated["line"]) == (inside.CHECKOUT, 59, inside.LINES_AT)
    assert got(dashboard, "queries", route=inside.PRODUCT)["total"] == 1


def test_a_statement_in_detail_has_its_course_and_code(dashboard: Dashboard) -> None:
    inside = dashboard.inside
    found = got(dashboard, "queries/detail", statement=inside.LINES)
    assert sum(n or 0 for n in found["calls"]) == found["query"]["calls"]
    assert found["lines"][0]["line"] == inside.LINES_AT
    with dashboard.client() as client:
        missing = client.get("/api/v1/queries/detail", params={"statement": "SELECT nothing"})
    assert missing.status_code == 404
    assert "longer" in missing.json()["error"]["message"]


def test_traces_are_filtered_by_the_address(dashboard: Dashboard) -> None:
    inside = dashboard.inside
    every = got(dashboard, "traces", limit=1000)
    assert sum(every["histogram"]["counts"]) == len(every["traces"])
    slow = got(dashboard, "traces", limit=1000, min="0.5", max="1", by="slowest")
    assert slow["traces"]
    assert all(0.5 <= row["duration_s"] < 1 for row in slow["traces"])
    assert slow["histogram"] == every["histogram"], "durations are chosen from all"
    durations = [row["duration_s"] for row in slow["traces"]]
    assert durations == sorted(durations, reverse=True)
    [failed] = got(dashboard, "traces", reason="failed")["traces"]
    assert failed["trace_id"] == inside.TRACE_FAILED
    for wrong in ({"reason": "bored"}, {"min": "soon"}, {"max": "nan"}, {"by": "beauty"}):
        with dashboard.client() as client:
            answer = client.get("/api/v1/traces", params=wrong)
        assert answer.status_code == 422, wrong
        assert next(iter(wrong.values())) in answer.json()["error"]["message"]


def test_a_trace_has_all_parts_and_spans(dashboard: Dashboard) -> None:
    tree = got(dashboard, "trace", id=dashboard.inside.TRACE_SLOW)
    assert [part["service"] for part in tree["parts"]] == ["shop", "payments"]
    assert sum(1 for span in tree["spans"] if span["kind"] == "db") == 62
    charged = next(span for span in tree["spans"] if span["service"] == "payments")
    assert tree["spans"][charged["parent"]]["kind"] == "http_client"
    with dashboard.client() as client:
        assert client.get("/api/v1/trace", params={"id": "0" * 32}).status_code == 404


def test_errors_are_counted_exactly(dashboard: Dashboard) -> None:
    inside = dashboard.inside
    found = got(dashboard, "errors")
    first = found["errors"][0]
    assert first["type"] == "KeyError"
    assert first["count"] == len(range(0, 5340, inside.STEP_S))
    assert first["trace_id"] == inside.TRACE_FAILED
    assert first["stack"][-1].endswith("price_of")


def test_the_parts_of_a_route_add_up_to_its_mean(dashboard: Dashboard) -> None:
    inside = dashboard.inside
    found = got(dashboard, "breakdown", route=inside.CHECKOUT)
    [row] = got(dashboard, "routes", route=inside.CHECKOUT)["routes"]
    assert row["breakdown"] == found["breakdown"]
    assert abs(sum(found["breakdown"].values()) - row["mean_s"]) < 1e-9
    calls = got(dashboard, "calls", route=inside.CHECKOUT)
    assert calls["http_client"][0]["errors"] > 0
    assert calls["cache"][0]["hit_ratio"] == 0.9


def test_a_profile_is_json_and_three_kinds_of_file(dashboard: Dashboard) -> None:
    inside = dashboard.inside
    found = got(dashboard, "profile", route=inside.CHECKOUT)
    assert found["functions"][0]["name"].startswith("execute")
    assert found["flame"]["value"][0] == round(found["total_s"] * 1e6)
    assert got(dashboard, "profile", route=inside.CHECKOUT, against="week")["compared"]["before_total_s"] == 0
    with dashboard.client() as client:
        folded = client.get("/api/v1/profile/folded", params=SPAN | {"route": inside.CHECKOUT}).text
        speedscope = client.get("/api/v1/profile/speedscope", params=SPAN).json()
        pprof = client.get("/api/v1/profile/pprof", params=SPAN).content
    total_ns = sum(int(line.rpartition(" ")[2]) for line in folded.splitlines())
    assert abs(total_ns / 1e9 - found["total_s"]) < 1e-6
    assert speedscope["profiles"][0]["type"] == "sampled"
    assert len(gzip.decompress(pprof)) > 1000


@pytest.mark.parametrize("name", ["queries", "traces", "errors"])
def test_the_same_as_a_spreadsheet_without_formulas(dashboard: Dashboard, name: str) -> None:
    with dashboard.client() as client:
        answer = client.get(f"/api/v1/{name}.csv", params=SPAN)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


def test_the_api_and_the_commands_use_the_same_names(dashboard: Dashboard) -> None:
    from pitstop import analyze  # noqa: PLC0415
    from pitstop.model import Window  # noqa: PLC0415

    store, window = dashboard.store, Window(int(time.time()) - 7200, int(time.time()))
    for row, write, shape in (
        (analyze.queries(store, window)[0], contract_inside.query, shapes.QueryOut),
        (analyze.n_plus_one(store, window)[0], contract_inside.n_plus_one, shapes.NPlusOneOut),
        (analyze.traces(store, window)[0], contract_inside.trace, shapes.TraceOut),
        (analyze.errors(store, window)[0], contract_inside.error, shapes.ErrorOut),
        (analyze.trace_tree(store, dashboard.inside.TRACE_SLOW), contract_inside.trace_tree, shapes.TraceTreeOut),
    ):
        assert json.loads(shape.of(row).model_dump_json()) == json.loads(json.dumps(write(row)))


def test_every_call_stands_in_the_contract(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        paths = client.get("/api/v1/openapi.json").json()["paths"]
    for name in ("queries", "queries/detail", "calls", "breakdown", "traces", "trace", "errors", "profile"):
        assert "$ref" in str(paths[f"/api/v1/{name}"]["get"]["responses"]["200"]), name
