"""What a page shows, as its address says it: service, span of time, what to compare with.

``?service=shop&last=1h&compare=week`` or ``?from=1763720000&to=1763723600``. `from` and `to` take Unix seconds or
ISO 8601 (UTC when no zone is given). The same parameters mean the same on every page and in the JSON API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from pitstop.model import SettingError, Window, parse_duration_s

RANGES = ("15m", "1h", "6h", "24h", "7d", "90d")
DEFAULT_RANGE = "1h"
COMPARISONS = ("previous", "week", "none")
DEFAULT_COMPARISON = "previous"
WEEK_S = 7 * 86_400
LONGEST_STATEMENT = 20_000  # characters of a statement in an address
LONGEST_NAME = 2000  # characters of a service or route in an address
_SHORTEST_S = 10
_MOST_DAYS = 730
_EARLIEST_S = 946_684_800  # the year 2000: before it, a number is no time of ours
_LATEST_S = 4_102_444_800  # the year 2100


@dataclass(frozen=True, slots=True)
class View:
    """One view. `last` is how the range was named, None for one picked by hand; `service` None means all."""

    service: str | None
    window: Window
    last: str | None
    compare: str

    @property
    def baseline(self) -> Window | None:
        """The span to compare with, or None."""
        if self.compare == "none":
            return None
        return self.window.before(WEEK_S if self.compare == "week" else None)

    @property
    def baseline_name(self) -> str:
        """What the baseline is called in a sentence."""
        return {"previous": "the time before", "week": "last week", "none": ""}[self.compare]

    def query(self, **changes: str | None) -> str:
        """The address' query for this view with some of it changed; what is the default is left out."""
        given = {
            "service": self.service,
            "last": None if self.last == DEFAULT_RANGE else self.last,
            "from": None if self.last else str(self.window.start_s),
            "to": None if self.last else str(self.window.end_s),
            "compare": None if self.compare == DEFAULT_COMPARISON else self.compare,
        }
        if "last" in changes:
            given |= {"from": None, "to": None}
        given |= changes
        if given["last"] == DEFAULT_RANGE:
            given["last"] = None
        if given["compare"] == DEFAULT_COMPARISON:
            given["compare"] = None
        query = urlencode({name: value for name, value in given.items() if value}, quote_via=quote, safe="")
        return f"?{query}" if query else ""


def parse_view(
    now_s: float,
    *,
    service: str | None = None,
    last: str | None = None,
    start: str | None = None,
    end: str | None = None,
    days: int | None = None,
    compare: str | None = None,
) -> View:
    """The view that an address names. Raises SettingError that says what was wrong and what can be used."""
    if service is not None and len(service) > LONGEST_NAME:
        raise SettingError(f"the service has {len(service)} characters, at most {LONGEST_NAME} can be asked for")
    compare = compare or DEFAULT_COMPARISON
    if compare not in COMPARISONS:
        raise SettingError(f"compare='{compare[:40]}' is none of {', '.join(COMPARISONS)}")
    now = int(now_s)
    if start or end:
        if last or days:
            raise SettingError("from and to name a range, and so do last and days: give one of them")
        end_s = parse_moment_s(end, "to") if end else now
        start_s = parse_moment_s(start, "from") if start else end_s - parse_duration_s(DEFAULT_RANGE)
        if end_s - start_s < _SHORTEST_S:
            raise SettingError(f"from {start_s} to {end_s} is shorter than {_SHORTEST_S} s; to must lie after from")
        if end_s - start_s > _MOST_DAYS * 86_400:
            raise SettingError(f"from {start_s} to {end_s} is longer than {_MOST_DAYS} days, the longest that is kept")
        return View(service or None, Window(start_s, end_s), None, compare)
    if days is not None:
        if not 1 <= days <= _MOST_DAYS:
            raise SettingError(f"days={days} is outside 1 … {_MOST_DAYS}")
        last = f"{days}d"
    last = last or DEFAULT_RANGE
    length_s = parse_duration_s(last)
    if length_s < _SHORTEST_S or length_s > _MOST_DAYS * 86_400:
        raise SettingError(f"last='{last[:40]}' is outside {_SHORTEST_S}s … {_MOST_DAYS}d")
    return View(service or None, Window(now - length_s, now), last, compare)


def parse_moment_s(text: str, name: str) -> int:
    """Unix seconds of `text`, itself Unix seconds or ISO 8601. Raises SettingError, naming the parameter `name`."""
    text = text.strip()
    shown = f"{name}='{text[:40]}'"
    if text.isascii() and text.isdigit() and len(text) <= len("4102444800"):
        moment_s = int(text)
    else:
        try:
            moment = datetime.fromisoformat(text)
            moment_s = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError) as error:
            raise SettingError(f"{shown} is no time: write Unix seconds or 2026-11-21T14:00:00+01:00") from error
    if not _EARLIEST_S <= moment_s <= _LATEST_S:
        raise SettingError(f"{shown} is outside the years 2000 … 2100")
    return moment_s
