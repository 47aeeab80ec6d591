"""Jinja2 (≥ 3.0): a rendering, plain or async, is a span of kind `template`, and queries made in it are below it.

What a template includes or inherits is part of it. Streams (`generate`) are not recorded: the rest of the request runs
in between.
"""

from __future__ import annotations

from typing import Any

from pitstop.instrument import replacing
from pitstop.model.series import TEMPLATE
from pitstop.record.recorder import RECORDER
from pitstop.record.timing import Span

UNNAMED = "(string)"  # a template without a file: its text may be anybody's
_LONGEST = 200  # characters of a name


def _span(template: Any) -> Span:
    name = getattr(template, "name", None)
    span = Span(name[:_LONGEST] if isinstance(name, str) and name else UNNAMED)
    span.kind = TEMPLATE
    return span


def _render(original: Any) -> Any:
    """For ``Template.render``; one of an async environment calls ``render_async``, which records."""

    def render_recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not RECORDER.on or self.environment.is_async:
            return original(self, *args, **kwargs)
        with _span(self):
            return original(self, *args, **kwargs)

    return render_recorded


def _render_async(original: Any) -> Any:
    async def render_recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not RECORDER.on:
            return await original(self, *args, **kwargs)
        with _span(self):
            return await original(self, *args, **kwargs)

    return render_recorded


POINTS = (("Template", "render", _render), ("Template", "render_async", _render_async))


def attach(module: Any) -> None:
    """Record what templates of ``jinja2.environment`` render."""
    replacing.attach(module, POINTS)


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS)
