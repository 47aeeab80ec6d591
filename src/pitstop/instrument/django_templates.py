"""Django's own templates (≥ 4.2): a rendering is a span of kind `template`, and queries made in it are below it.

What a template includes or inherits is part of it. Jinja2's are recorded as Jinja2's.
"""

from __future__ import annotations

from typing import Any

from pitstop.instrument import replacing
from pitstop.model.series import TEMPLATE
from pitstop.record.recorder import RECORDER
from pitstop.record.timing import Span

UNNAMED = "(string)"  # a template without a file: its text may be anybody's
_LONGEST = 200  # characters of a name


def _render(original: Any) -> Any:
    """For ``render`` of the backend's templates."""

    def render_recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not RECORDER.on:
            return original(self, *args, **kwargs)
        name = getattr(self.template, "name", None)
        span = Span(name[:_LONGEST] if isinstance(name, str) and name else UNNAMED)
        span.kind = TEMPLATE
        with span:
            return original(self, *args, **kwargs)

    return render_recorded


POINTS = (("Template", "render", _render),)


def attach(module: Any) -> None:
    """Record what templates of ``django.template.backends.django`` render."""
    replacing.attach(module, POINTS)


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS)
