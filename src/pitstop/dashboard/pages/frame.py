"""What all pages share: the menu, the range, the comparison, the service, and the token for changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Query, Request

from pitstop.dashboard.access import page_reader
from pitstop.dashboard.auth import Session
from pitstop.dashboard.desk import base_of, desk_of
from pitstop.dashboard.view import COMPARISONS, RANGES, View, parse_view
from pitstop.dashboard.watching import needing, open_incidents

if TYPE_CHECKING:
    from collections.abc import Callable

MENU = (
    ("overview", "Overview", "/", "o"),
    ("routes", "Routes", "/routes", "r"),
    ("queries", "Queries", "/queries", "q"),
    ("traces", "Traces", "/traces", "t"),
    ("errors", "Errors", "/errors", "e"),
    ("profile", "Profile", "/profile", "p"),
    ("caches", "Caches", "/caches", "h"),
    ("database", "Database", "/database", "d"),
    ("memory", "Memory", "/memory", "m"),
    ("runtime", "Runtime", "/runtime", "u"),
    ("slos", "SLOs", "/slos", "b"),
    ("alerts", "Alerts", "/alerts", "a"),
    ("rules", "Rules", "/rules", "l"),
    ("channels", "Channels", "/channels", "c"),
    ("storage", "Storage", "/storage", "s"),
)
"""Name, label, path and the key after ``g``; only pages that exist."""

COMPARISON_NAMES = {"previous": "previous period", "week": "last week", "none": "nothing"}
PAGE_PARAMETERS = frozenset(
    {
        "route",
        "sort",
        "order",
        "q",
        "statement",
        "reason",
        "outcome",
        "min",
        "max",
        "fingerprint",
        "mode",
        "against",
        "by",
        "id",
        "name",
        "of",
        "kind",
        "state",
        "edit",
    }
)
"""What only one page knows: it stays when the range, the service or the comparison changes."""
_REFRESH_S = ((900, 2), (3_600, 5), (21_600, 15), (86_400, 30))  # a window up to so long is drawn anew so often
_REFRESH_LONG_S = 60


def view_of(
    request: Request,
    service: Annotated[str | None, Query(description="only this service")] = None,
    last: Annotated[str | None, Query(description="the range up to now: 15m, 1h, 7d …")] = None,
    start: Annotated[str | None, Query(alias="from", description="Unix seconds or ISO 8601")] = None,
    end: Annotated[str | None, Query(alias="to", description="Unix seconds or ISO 8601; now when left out")] = None,
    days: Annotated[int | None, Query(description="the range up to now, days")] = None,
    compare: Annotated[str | None, Query(description="previous, week or none")] = None,
) -> View:
    """The view that the address names."""
    now_s = desk_of(request).clock.now_s()
    return parse_view(now_s, service=service, last=last, start=start, end=end, days=days, compare=compare)


Viewed = Annotated[View, Depends(view_of)]
Reader = Annotated[Session, Depends(page_reader)]


def frame(
    request: Request,
    session: Session,
    view: View,
    *,
    current: str,
    title: str,
    live: bool = True,
    compares: bool = True,
) -> dict[str, Any]:
    """The values of the frame around page `current`.

    Not `live`: it is not drawn anew by itself. Not `compares`: it shows nothing of the span compared with.
    """
    base = base_of(request)
    path = request.scope["path"].removeprefix(base) or "/"
    firing = needing(open_incidents(desk_of(request), view.service))
    return {
        "current": current,
        "title": title,
        "view": view,
        "menu": [(name, label, base + target + view.query(), key) for name, label, target, key in MENU],
        "calls": {"alerts": firing} if firing else {},
        "ranges": [(name, name[:-1] + "\u00a0" + name[-1], _address(request, view, last=name)) for name in RANGES],
        "comparisons": [(name, COMPARISON_NAMES[name], _address(request, view, compare=name)) for name in COMPARISONS],
        "comparison_name": COMPARISON_NAMES[view.compare],
        "services": [
            (name, name or "all services", _address(request, view, service=name or None))
            for name in ("", *desk_of(request).answers.services())
        ],
        "compares": compares,
        "here": base + path,
        "query": view.query(),
        "csrf": session.csrf,
        "user": session.user,
        "refresh_s": next((s for upto_s, s in _REFRESH_S if view.window.duration_s <= upto_s), _REFRESH_LONG_S)
        if view.last and live
        else 0,
        "writable": desk_of(request).writable,
    }


def changed(request: Request, view: View, path: str, **now: str | None) -> Callable[..., str]:
    """The address of the page at `path`, which has the parameters `now`, with some of them changed."""
    start = base_of(request) + path

    def to(**changes: str | float | None) -> str:
        chosen = {name: None if value is None else str(value) for name, value in changes.items()}
        return start + view.query(**(now | chosen))

    return to


def _address(request: Request, view: View, **changes: str | None) -> str:
    """This page with another view; what only this page knows (its route, its order) stays."""
    kept = {name: value for name, value in request.query_params.items() if name in PAGE_PARAMETERS}
    path = base_of(request) + (request.scope["path"].removeprefix(base_of(request)) or "/")
    return path + view.query(**kept, **changes)
