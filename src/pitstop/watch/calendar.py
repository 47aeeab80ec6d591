"""The span an objective is measured over: the last so many days, or the week, month or quarter that it is, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pitstop.model.window import Window, parse_duration_s
from pitstop.watch.burn import window_to

if TYPE_CHECKING:
    from collections.abc import Callable

_MONTHS_OF_A_QUARTER = 3


def budget_window(text: str, end_s: int) -> Window:
    """The span that `text` (``30d``, ``week``, ``month``, ``quarter``) means at `end_s`; a calendar's ends after it.

    Weeks begin on Monday (ISO 8601). Raises SettingError.
    """
    begin = CALENDARS.get(text)
    if begin is None:
        return window_to(end_s, parse_duration_s(text))
    day = datetime.fromtimestamp(end_s, tz=UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first, following = begin(day)
    return Window(int(first.timestamp()), int(following.timestamp()))


def _week(day: datetime) -> tuple[datetime, datetime]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _month(day: datetime) -> tuple[datetime, datetime]:
    first = day.replace(day=1)
    return first, _months_later(first, 1)


def _quarter(day: datetime) -> tuple[datetime, datetime]:
    first = day.replace(day=1, month=(day.month - 1) // _MONTHS_OF_A_QUARTER * _MONTHS_OF_A_QUARTER + 1)
    return first, _months_later(first, _MONTHS_OF_A_QUARTER)


def _months_later(first: datetime, number: int) -> datetime:
    years, month = divmod(first.month - 1 + number, 12)
    return first.replace(year=first.year + years, month=month + 1)


CALENDARS: dict[str, Callable[[datetime], tuple[datetime, datetime]]] = {
    "week": _week,
    "month": _month,
    "quarter": _quarter,
}
