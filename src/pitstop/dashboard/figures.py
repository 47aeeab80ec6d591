"""What templates need to write a figure: text as `pitstop.analyze.units` has it, and the signs that go with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pitstop.analyze import units

if TYPE_CHECKING:
    from pitstop.analyze import Delta

SEVERITY_SIGNS = {"good": "✓", "warning": "!", "slow": "◆", "critical": "▲", "no data": "–"}
"""A shape for each word, so that colour is never the only sign."""

ROUTE_WIDTH = 64  # characters of a route before its middle is left out


def split_figure(text: str) -> tuple[str, str]:
    """``46.2 ms`` as number and unit, for the large figures; the unit is empty where there is none."""
    number, _, unit = text.partition(" ")
    return number, unit


def split_route(route: str) -> tuple[str, str]:
    """The method and the template of ``GET /items/{id}``; no method for what has none."""
    method, space, template = route.partition(" ")
    return (method, template) if space and method.isupper() and method.isascii() else ("", route)


def moment(ts: float) -> dict[str, str]:
    """A moment as HTML has it and as it reads until the browser has put it into the viewer's zone."""
    at = datetime.fromtimestamp(ts, tz=UTC)
    return {"iso": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "text": at.strftime("%d %b %Y %H:%M:%S UTC")}


def direction(delta: Delta) -> str:
    """``worse``, ``better`` or empty: for latency and errors more is worse; traffic is neither; noise is neither."""
    if not delta.beyond_noise or delta.measure == "rate_per_s" or not delta.difference:
        return ""
    return "worse" if delta.difference > 0 else "better"


def percent(part: float | None) -> str:
    """A share for an SVG attribute: ``37.5`` of 100."""
    return f"{100 * min(1.0, max(0.0, part or 0.0)):.2f}"


def sentence(text: str) -> str:
    """`text` with a capital; the rest as it stands."""
    return text[:1].upper() + text[1:]


GLOBALS: dict[str, Any] = {
    "duration": units.duration_text,
    "ms": units.milliseconds_text,
    "count": units.count_text,
    "rate": units.rate_text,
    "ratio": units.ratio_text,
    "size": units.bytes_text,
    "change": units.change_text,
    "figure": units.figures,
    "cut": units.cut_middle,
    "split_figure": split_figure,
    "split_route": split_route,
    "moment": moment,
    "direction": direction,
    "percent": percent,
    "sentence": sentence,
    "severity_sign": SEVERITY_SIGNS.__getitem__,
    "ROUTE_WIDTH": ROUTE_WIDTH,
}
