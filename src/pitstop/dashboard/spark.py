"""Lines of a word's size, drawn at the server: they are there with the first frame and need no script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARGIN = 1.5  # half the stroke, so that no peak is cut


def spark_path(values: Sequence[float | None], width: int, height: int) -> str:
    """The `d` of an SVG path through `values`, y from zero; a gap stays a gap, a lone value is a dot's width."""
    highest = max((value for value in values if value is not None), default=0.0) or 1.0
    step = width / max(1, len(values) - 1)
    parts: list[str] = []
    drawing = False
    for i, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        x, y = i * step, height - _MARGIN - (height - 2 * _MARGIN) * value / highest
        parts.append(f"{'L' if drawing else 'M'}{x:.1f} {y:.1f}")
        following = values[i + 1] if i + 1 < len(values) else None
        if not drawing and following is None:
            parts.append(f"h{max(1.0, min(step, 2.0)):.1f}")
        drawing = True
    return "".join(parts)


GLOBALS: dict[str, Any] = {"spark_path": spark_path}
