"""What the pages about alerts say where nobody watches: a dashboard mounted without, or one that only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.render import page
from pitstop.dashboard.watching import START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response


def unwatched(request: Request, values: Mapping[str, Any]) -> Response:
    """The page in the frame of `values`."""
    url = desk_of(request).store.url
    command = f"{START} --store {url}" if "://" in url and not url.startswith("memory") else START
    return page(request, "unwatched.html", {**values, "start": command})
