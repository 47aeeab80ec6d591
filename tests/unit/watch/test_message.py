"""What a notification says, and what it cannot be taken for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.watching import FIRING, PAGE, RESOLVED, Notification
from pitstop.watch.message import defused, from_json, message_of, plain, to_json, value_text

NOTE = Notification(
    "k", FIRING, PAGE, "checkout is slow", "P95 is high", {"service": "shop", "rule": "x", "tenant": ""},
    1_790_000_000.0,
    value=1.25, limit=0.5, unit="s", url="https://p.example/alerts/7?a=@b", details=["GET /a: 2 s", "GET /b: 3 s"],
)  # fmt: skip
FIGURES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
HOSTILE = (
    "x\r\nBcc: evil@example.com <!channel> @everyone <@U123> [pay](http://evil.example) "
    "<img src=x onerror=y> $(id) &lt;"
)


def test_a_message_says_what_it_is_about_in_lines() -> None:
    message = message_of(NOTE)

    assert message.subject == "[FIRING] checkout is slow"
    assert message.body.split("\n") == [
        "P95 is high",
        "Value 1.25 s, limit 500 ms",
        "Since 2026-09-21T14:13:20Z",
        "https://p.example/alerts/7?a=@b",
        "• GET /a: 2 s",
        "• GET /b: 3 s",
        "rule: x, service: shop",
    ]


def test_a_message_that_it_is_over_says_since_when() -> None:
    message = message_of(NOTE._replace(state=RESOLVED, ended_s=1_790_000_060.0, value=None))

    assert message.subject.startswith("[RESOLVED]")
    assert "Since 2026-09-21T14:13:20Z, ended 2026-09-21T14:14:20Z" in message.body
    assert "Value" not in message.body


def test_many_incidents_are_counted_and_not_all_told() -> None:
    body = message_of(NOTE._replace(details=[f"route {i}" for i in range(50)])).body

    assert "• route 19\n• and 30 more\n" in body


def test_a_hostile_name_is_one_line_without_mentions_tags_or_links() -> None:
    message = message_of(NOTE._replace(title=HOSTILE, text=HOSTILE, labels={HOSTILE: HOSTILE}, details=[HOSTILE]))

    assert "\n" not in message.subject
    assert "\r" not in message.body
    assert not any(line.startswith("Bcc") for line in message.body.split("\n"))
    for sign in ("<!channel>", "@everyone", "<@U", "](http", "<img", "&lt;", "evil@example"):
        assert sign in plain(HOSTILE)
        assert sign not in message.subject + message.body
    assert "$(id)" in message.body, "no shell reads it: it stays as it is"


def test_a_program_gets_the_name_as_it_is() -> None:
    assert "<!channel>" in message_of(NOTE._replace(title=HOSTILE), markup=False).subject


@given(st.text(max_size=300))
def test_no_text_breaks_the_line_or_hides_a_sign(text: str) -> None:
    line = plain(text)

    assert line.splitlines() == ([line] if line else [])
    assert not set(line) & set("\u202e\u2066\u200b\x00\x1b\u2028\x85")


@given(st.text(alphabet="<>!@#&](ax0 /\u2060", max_size=60))
def test_defusing_adds_signs_that_are_not_seen_and_nothing_else(text: str) -> None:
    safe = defused(text)

    assert safe.replace("\u2060", "") == text.replace("\u2060", "")
    for sign in ("<!", "<a", "<@", "<#", "@a", "&a", "]("):
        assert sign not in safe


def test_a_long_text_is_cut() -> None:
    assert plain("word " * 1000, 20) == "word word word word…"
    assert len(message_of(NOTE._replace(title="x" * 5000)).subject) == 200


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.012, "s", "12 ms"),
        (0.031, "ratio", "3.1 %"),
        (2_500_000, "bytes", "2.5 MB"),
        (1234, "", "1.23 k"),
        (3.14159, "/s", "3.14 /s"),
        (None, "s", "no data"),
    ],
)
def test_figures_are_written_as_the_dashboard_does(value: float | None, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


@given(
    st.text(), st.dictionaries(st.text(), st.text()), st.lists(st.text()), FIGURES,
    st.lists(st.tuples(st.integers(0, 2**40), FIGURES)),
)  # fmt: skip
def test_a_notification_comes_back_as_it_was_kept(
    title: str, labels: dict[str, str], details: list[str], value: float | None, points: list[tuple[int, float | None]]
) -> None:
    note = NOTE._replace(title=title, labels=labels, details=tuple(details), value=value, points=tuple(points))

    assert from_json(to_json(note)) == note


def test_a_figure_that_is_none_is_kept_as_no_data() -> None:
    back = from_json(to_json(NOTE._replace(value=math.nan, limit=math.inf, points=[(1, math.nan)])))

    assert (back.value, back.limit, back.points) == (None, None, ((1, None),))


@pytest.mark.parametrize("text", ['{"shape": 2}', "[]", "{", '"x"', "null"])
def test_what_is_no_notification_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"no notification|Expecting|must be a mapping"):
        from_json(text)
