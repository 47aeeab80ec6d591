"""Litestar (≥ 2.13): the template stands in the scope after routing; a mount has none, its handler knows its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pitstop.instrument.asgi import Scope


def template_of(scope: Scope) -> str:
    """The full route template; "" when no route answered."""
    template: str | None = scope.get("path_template")
    if template:
        return template
    handler = scope.get("route_handler")
    if handler is not None and getattr(handler, "is_mount", False):
        path = min(handler.paths, default="/")
        return path.rstrip("/") + "/{path}"
    return ""
