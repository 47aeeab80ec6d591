"""The view that an address names."""

from __future__ import annotations

import pytest

from pitstop.dashboard.view import WEEK_S, parse_moment_s, parse_view
from pitstop.model import SettingError, Window

NOW_S = 1_800_000_000.9


def test_nothing_given_is_the_last_hour_against_the_one_before() -> None:
    view = parse_view(NOW_S)
    assert view.window == Window(1_800_000_000 - 3600, 1_800_000_000)
    assert view.last == "1h"
    assert view.baseline == Window(1_800_000_000 - 7200, 1_800_000_000 - 3600)
    assert view.query() == ""


def test_days_are_a_range_up_to_now() -> None:
    view = parse_view(NOW_S, days=7)
    assert view.window.duration_s == 7 * 86_400
    assert view.query() == "?last=7d"


def test_a_comparison_with_last_week_is_shifted_by_a_week() -> None:
    view = parse_view(NOW_S, compare="week")
    assert view.baseline == view.window.before(WEEK_S)
    assert parse_view(NOW_S, compare="none").baseline is None


def test_a_range_by_hand_takes_unix_seconds_and_iso_times() -> None:
    view = parse_view(NOW_S, start="1799990000", end="2027-01-15T08:00:00+00:00")
    assert view.window == Window(1_799_990_000, 1_800_000_000)
    assert view.last is None
    assert parse_moment_s("2027-01-15T09:00:00+01:00", "to") == 1_800_000_000
    assert parse_moment_s("2027-01-15T08:00:00", "to") == 1_800_000_000


def test_an_address_leads_back_to_the_same_view() -> None:
    view = parse_view(NOW_S, service="a&b=c", start="1799990000", end="1799999000", compare="week")
    assert view.query() == "?service=a%26b%3Dc&from=1799990000&to=1799999000&compare=week"
    assert view.query(last="6h") == "?service=a%26b%3Dc&last=6h&compare=week"
    assert view.query(service=None, route="GET /x") == "?from=1799990000&to=1799999000&compare=week&route=GET%20%2Fx"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"last": "soon"}, "no length of time"),
        ({"last": "2s"}, "outside 10s"),
        ({"last": "999d"}, "outside 10s"),
        ({"days": 0}, "outside 1 … 730"),
        ({"start": "yesterday"}, "from='yesterday' is no time"),
        ({"start": "99"}, "2000 … 2100"),
        ({"start": "9" * 30}, "no time"),
        ({"start": "1799999999", "end": "1799999990"}, "must lie after"),
        ({"start": "1000000000", "end": "1799999990"}, "longer than 730 days"),
        ({"start": "1799990000", "last": "1h"}, "give one of them"),
        ({"compare": "yesteryear"}, "none of previous, week, none"),
        ({"service": "x" * 3000}, "at most 2000"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_can(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        parse_view(NOW_S, **given)  # type: ignore[arg-type]
