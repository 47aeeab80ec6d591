"""Figures, lines and the sentences that stand for charts."""

from __future__ import annotations

import json

from pitstop.analyze.compare import Delta
from pitstop.dashboard.assets import compressed, revision, table
from pitstop.dashboard.charts import marks
from pitstop.dashboard.figures import direction, split_figure, split_route
from pitstop.dashboard.pages.runtime import short
from pitstop.dashboard.render import island
from pitstop.dashboard.spark import spark_path
from pitstop.model import Events


def test_a_gap_stays_a_gap_and_a_lone_value_is_visible() -> None:
    path = spark_path([1.0, 2.0, None, 1.0, None], 40, 20)
    assert path.count("M") == 2
    assert "h" in path
    assert spark_path([], 40, 20) == ""
    assert spark_path([None, None], 40, 20) == ""


def test_a_line_starts_from_zero_and_fills_the_height() -> None:
    assert spark_path([0.0, 10.0], 40, 20) == "M0.0 18.5L40.0 1.5"


def test_a_figure_and_a_route_come_apart() -> None:
    assert split_figure("46.2 ms") == ("46.2", "ms")
    assert split_figure("–") == ("–", "")
    assert split_route("GET /a b") == ("GET", "/a b")
    assert split_route("(unmatched)") == ("", "(unmatched)")
    assert split_route("get /x") == ("", "get /x")


def test_more_latency_is_worse_more_traffic_is_neither_and_noise_is_nothing() -> None:
    assert direction(Delta("p95_s", 2.0, 1.0, 1.0, beyond_noise=True)) == "worse"
    assert direction(Delta("error_ratio", 0.1, 0.2, -0.5, beyond_noise=True)) == "better"
    assert direction(Delta("rate_per_s", 2.0, 1.0, 1.0, beyond_noise=True)) == ""
    assert direction(Delta("p95_s", 2.0, 1.0, 1.0, beyond_noise=False)) == ""


def test_an_island_cannot_end_its_script_and_says_the_same() -> None:
    value = {"x": "</script><!-- <script>&\u2028"}
    text = str(island(value))
    assert "<" not in text
    assert json.loads(text) == value


def test_events_of_one_second_are_one_line() -> None:
    events = Events()
    for ts, text in ((5, "b"), (3, "a"), (5, "c"), (5, "b")):
        events.ts.append(ts)
        events.service.append("s")
        events.kind.append("start")
        events.text.append(text)
    assert marks(events) == [
        {"ts": 3, "text": "a", "alert": False, "minor": True},
        {"ts": 5, "text": "b and 1 more", "alert": False, "minor": True},
    ]


def test_a_worker_is_called_by_its_host_and_process() -> None:
    assert short("web-1.internal:4412:a1b2c3") == "web-1:4412"
    assert short("elsewhere") == "elsewhere"


def test_all_script_stays_within_300_kilobytes_compressed() -> None:
    scripts = [name for name in table() if name.endswith(".js") and not name.endswith("entry.js")]
    assert "vendor/echarts.min.js" in scripts
    assert sum(len(compressed(name)) for name in scripts) <= 300_000
    assert len(revision()) == 16


def test_no_script_of_ours_writes_markup_or_evaluates_text() -> None:
    for name, data in table().items():
        if name.endswith(".js") and name.startswith("js/"):
            text = data.decode()
            assert not any(
                word in text for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write")
            ), name
