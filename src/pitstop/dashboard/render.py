"""Pages from templates: escaped by default, every address below the mount, figures as in `pitstop.analyze.units`."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from pitstop.dashboard import assets, figures, kinds, spark, states
from pitstop.dashboard.desk import base_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

SCHEME_COOKIE = "pitstop_scheme"
SCHEMES = ("auto", "light", "dark")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates, compiled once. Everything is escaped; a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= figures.GLOBALS | spark.GLOBALS | kinds.GLOBALS | states.GLOBALS
    made.tests |= states.TESTS
    made.filters["island"] = island
    return made


def page(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """The page as an answer. Templates see `values`, and of the request only what they need."""
    scheme = request.cookies.get(SCHEME_COOKIE, "auto")
    base = base_of(request)
    html = (
        environment()
        .get_template(template)
        .render(
            base=base,
            static=f"{base}/static/{assets.revision()}",
            nonce=request.scope["state"]["nonce"],
            scheme=scheme if scheme in SCHEMES else "auto",
            **values,
        )
    )
    return HTMLResponse(html, status, headers=headers)


def island(value: object) -> Markup:
    """`value` as JSON inside a script element: nothing in it can end the element or start another."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704  no letter that HTML gives a meaning is left
