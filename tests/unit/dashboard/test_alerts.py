"""What the pages about alerts are made of: order, timeline, words, examples, the marks on charts."""

from __future__ import annotations

import tomllib

import pytest

from pitstop.dashboard import charts, states
from pitstop.dashboard.api import watch_shapes as shapes
from pitstop.dashboard.pages.alerts import AROUND_S, LONGEST_AROUND_S, around
from pitstop.dashboard.pages.rule_examples import EXAMPLES
from pitstop.dashboard.pages.slos import fastest, level
from pitstop.dashboard.watching import key_of, lanes, needing, urgent
from pitstop.model import Events, Window
from pitstop.model import watching as words


def incident(ident: int = 1, **changes: object) -> words.Incident:
    made = words.Incident(
        ident, "k" * 16, "slow", "page", "firing", {"rule": "slow", "service": "shop"}, "it is slow", 0.9, 0.5, "s",
        1000.0, 1060.0,
    )  # fmt: skip
    return made._replace(**changes)  # type: ignore[arg-type]


def test_what_needs_somebody_stands_first() -> None:
    pending = incident(1, state="pending", fired_s=None)
    silenced = incident(2, silenced="by ann")
    ticket = incident(3, severity="ticket")
    newer = incident(4, began_s=2000.0)
    info = incident(5, severity="info")

    assert [one.id for one in urgent([pending, silenced, info, ticket, incident(6), newer])] == [4, 6, 3, 5, 2, 1]
    assert needing([pending, silenced, info, ticket, newer, incident(7, acked_by="ann")]) == 2


def test_a_severity_nobody_knows_comes_last_and_breaks_nothing() -> None:
    assert [one.id for one in urgent([incident(1, severity="odd"), incident(2, severity="info")])] == [2, 1]
    assert states.look("odd") == ("no-data", "·")


def test_the_timeline_has_a_lane_a_rule_cut_at_the_window() -> None:
    window = Window(1000, 2000)
    found = lanes(
        [
            incident(1, fired_s=500.0, ended_s=1100.0),
            incident(2, fired_s=1900.0),
            incident(3, rule="broken", fired_s=1500.0, ended_s=1500.2),
            incident(4, rule="never", state="pending", fired_s=None),
        ],
        window,
        now_s=1950.0,
    )

    assert [(lane.rule, lane.total_s) for lane in found] == [("slow", 150.0), ("broken", pytest.approx(0.2))]
    assert [(bar.x, bar.width) for bar in found[0].bars] == [(0.0, 100.0), (900.0, 50.0)]
    assert found[1].bars[0].width == 3.0, "an instant is seen, too"


def test_a_bar_at_the_very_end_stays_within_the_drawing() -> None:
    [lane] = lanes([incident(fired_s=1999.9, ended_s=None)], Window(1000, 2000), now_s=2000.0)
    [bar] = lane.bars

    assert bar.x + bar.width <= 1000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "–"),
        (0.9, "s", "900 ms"),
        (0.05, "ratio", "5 %"),
        (2_400_000, "bytes", "2.4 MB"),
        (8.25, "/s", "8.25/s"),
        (1200, "series", "1.2 k series"),
        (3, "", "3"),
    ],
)
def test_a_value_is_written_with_its_unit(value: float | None, unit: str, text: str) -> None:
    assert states.measure(value, unit) == text


def test_labels_on_a_line_and_on_lines_of_a_form() -> None:
    labels = {"service": "shop", "rule": "slow", "severity": "page", "route": "GET /a", "tenant": ""}

    assert states.labels_text(labels) == "route=GET /a, service=shop"
    assert states.label_lines(labels) == "route=GET /a\nrule=slow\nservice=shop"


def test_every_state_and_severity_has_a_look_of_its_own_shape() -> None:
    for word in (*words.SEVERITIES, words.OK, words.FIRING, words.PENDING, words.DEAD, words.DEGRADED, words.DOWN):
        css, sign = states.look(word)
        assert (css, sign) != states.look("odd") or word == words.INFO
        assert sign


def test_what_surrounds_an_alert_has_both_its_ends_and_at_most_a_day() -> None:
    assert around(incident(began_s=10_000.0, ended_s=12_000.0), 50_000.0) == (10_000 - AROUND_S, 12_000 + AROUND_S)
    assert around(incident(began_s=10_000.0, ended_s=None), 11_000.0) == (10_000 - AROUND_S, 11_000)
    start_s, end_s = around(incident(began_s=10_000.0, ended_s=None), 900_000.0)
    assert (end_s, end_s - start_s) == (900_000, LONGEST_AROUND_S)


def test_the_bar_of_a_budget_says_how_much_is_left_in_colour_too() -> None:
    assert [level(left) for left in (None, -0.5, 0.0, 0.1, 0.25, 1.0)] == ["low", "low", "low", "mid", "good", "good"]


def test_alerts_lead_the_marks_of_a_chart_and_bear_their_sign() -> None:
    kinds = ["deploy", "alert", "start", "deploy"]
    events = Events([5, 5, 9, 12], ["shop"] * 4, kinds, ["v2", "slow fires", "", "v3"])

    assert charts.marks(events) == [
        {"ts": 5, "text": "▲ slow fires and 1 more", "alert": True, "minor": False},
        {"ts": 9, "text": "start", "alert": False, "minor": True},
        {"ts": 12, "text": "v3", "alert": False, "minor": False},
    ]


def test_a_chart_with_a_limit_says_in_words_what_it_shows() -> None:
    drawn = charts.limited([(1, 0.2), (2, None), (3, 0.9)], 0.5, "s", name="value", limit_name="limit")

    assert drawn["values"] == [0.2, None, 0.9]
    assert drawn["summary"] == "value between 200 ms and 900 ms, last 900 ms"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_example_is_one_table_of_toml_with_a_name(kind: str) -> None:
    table = tomllib.loads(EXAMPLES[kind].text)

    assert list(table) == [kind if kind in {"slo", "probe"} else "rule"]
    [[one]] = table.values()
    assert one["name"]
    assert one.get("kind", kind) == kind or kind == "slo"


@pytest.mark.parametrize(
    ("shape", "word"),
    [
        (shapes.BurnOut, words.Burn),
        (shapes.SloOut, words.SloState),
        (shapes.IncidentOut, words.Incident),
        (shapes.MomentOut, words.Moment),
        (shapes.SilenceOut, words.Silence),
        (shapes.RuleOut, words.RuleState),
        (shapes.ReplayOut, words.Replay),
        (shapes.ChannelOut, words.Channel),
        (shapes.DeliveryOut, words.Delivery),
        (shapes.TestedOut, words.Tested),
        (shapes.ComponentOut, words.Component),
    ],
)
def test_every_shape_of_the_api_has_the_fields_of_its_word(shape: type, word: type) -> None:
    assert tuple(shape.model_fields) == word._fields  # type: ignore[attr-defined]


def test_the_burn_that_is_shown_is_that_of_the_shortest_long_window() -> None:
    burns = [words.Burn("page", 6, 21_600, 1800, 2.0, 3.0, False), words.Burn("page", 14.4, 3600, 300, 9.0, 1.0, False)]
    state = words.SloState(
        "a", "latency", {"service": "shop", "slo": "a"}, 0.99, 0.5, Window(0, 10), "30 days", 1, 2, 0.5, 0.1, None,
        burns, "ok", "",
    )  # fmt: skip

    assert fastest(state) == 9.0
    assert fastest(state._replace(burns=[])) is None
    assert key_of(state) == "service=shop"
