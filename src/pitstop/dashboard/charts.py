"""What the browser draws, as plain values, and the sentence that says the same to whoever cannot see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.analyze.units import bytes_text, count_text, duration_text, figures, rate_text, ratio_text
from pitstop.dashboard.kinds import OWN, kind_of
from pitstop.dashboard.states import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pitstop.analyze import Breakdown, BreakdownTrend, Heatmap, TraceHistogram, Trend
    from pitstop.analyze.runtime import Gauge
    from pitstop.model import Events, Window

_FIGURES = 5  # of a value on its way to a pixel
ALERT = "alert"  # the kind of event that whoever watches writes
LEADING = (ALERT, "deploy")  # what is named first where many things happen at once
MOST_EVENTS = 40  # labelled lines in one chart; the newest are kept


def latency(trend: Trend, base: Trend | None, base_name: str) -> dict[str, Any]:
    """Average, P50, P95, P99 over time, and the P95 it is compared with, step by step."""
    return {
        "kind": "latency",
        "ts": trend.ts,
        "step_s": trend.step_s,
        "mean": _short(trend.mean_s),
        "p50": _short(trend.p50_s),
        "p95": _short(trend.p95_s),
        "p99": _short(trend.p99_s),
        "base": _short(base.p95_s[: len(trend.ts)]) if base and any(base.requests) else [],
        "base_name": f"P95 {base_name}",
        "summary": _summary("P95", trend.p95_s, duration_text),
    }


def traffic(trend: Trend) -> dict[str, Any]:
    """Requests and errors a second."""
    errors = [
        None if ratio is None or rate is None else ratio * rate
        for ratio, rate in zip(trend.error_ratio, trend.rate_per_s, strict=True)
    ]
    return {
        "kind": "traffic",
        "ts": trend.ts,
        "step_s": trend.step_s,
        "rate": _short(trend.rate_per_s),
        "errors": _short(errors),
        "summary": f"{_summary('requests a second', trend.rate_per_s, rate_text)}; "
        f"{_summary('errors a second', errors, rate_text)}",
    }


def heat(heatmap: Heatmap) -> dict[str, Any]:
    """Counts by time and duration, the empty cells left out: ``[column, row, count]``."""
    cells = [
        (column, row, count) for column, rows in enumerate(heatmap.counts) for row, count in enumerate(rows) if count
    ]
    middle = ""
    if cells:
        by_row: dict[int, int] = {}
        for _, row, count in cells:
            by_row[row] = by_row.get(row, 0) + count
        most = max(by_row, key=by_row.__getitem__)
        middle = (
            f"most requests took {duration_text(heatmap.lower_s[most])} to {duration_text(heatmap.upper_s[most])}; "
            f"the longest up to {duration_text(heatmap.upper_s[-1])}"
        )
    return {
        "kind": "heatmap",
        "ts": heatmap.ts,
        "step_s": heatmap.step_s,
        "lower": _short(heatmap.lower_s),
        "upper": _short(heatmap.upper_s),
        "cells": cells,
        "summary": middle or "no data",
    }


def stack(course: BreakdownTrend) -> dict[str, Any]:
    """Seconds a request by part, stacked; parts that nothing was spent on are left out."""
    layers = [
        {"name": kind_of(name).label, "color": kind_of(name).color, "values": _short(values)}
        for name, values in course.parts.items()
        if any(values) or name == OWN
    ]
    means = {name: [v for v in values if v is not None] for name, values in course.parts.items()}
    most = sorted((name for name in means if means[name]), key=lambda name: -sum(means[name]))[:3]
    words = "; ".join(_summary(kind_of(name).label, course.parts[name], duration_text) for name in most)
    return {
        "kind": "stack",
        "ts": course.ts,
        "step_s": course.step_s,
        "layers": layers,
        "total": _short(course.mean_s),
        "summary": words or "no data",
    }


def shares(found: Breakdown | None) -> list[tuple[str, str, float, float]]:
    """Part, label, seconds a request and share, in the order of the stack; parts without time are left out."""
    if found is None:
        return []
    return [(one.name, kind_of(one.name).label, one.per_request_s, one.ratio) for one in found.parts if one.total_s > 0]


def counts(ts: Sequence[int], values: Sequence[int | None], step_s: int, name: str, color: str) -> dict[str, Any]:
    """How often something happened, step by step."""
    return {
        "kind": "counts",
        "ts": ts,
        "values": values,
        "step_s": step_s,
        "name": name,
        "color": color,
        "summary": _summary(f"{name} in {duration_text(step_s)}", values, count_text),
    }


def bars(histogram: TraceHistogram, width: int = 1000, height: int = 90) -> list[dict[str, Any]]:
    """Bars of a duration histogram: place and size in a drawing `width` × `height`, borders in seconds, counts."""
    most = max(histogram.counts, default=0) or 1
    step = width / max(1, len(histogram.counts))
    return [
        {
            "x": round(i * step, 2),
            "width": round(max(1.0, step - 1), 2),
            "height": round(max(2.0, height * count / most) if count else 0, 2),
            "from_s": histogram.edges_s[i],
            "to_s": histogram.edges_s[i + 1],
            "count": count,
            "weight": histogram.weights[i],
        }
        for i, count in enumerate(histogram.counts)
    ]


def gauges(lines: Sequence[tuple[str, Gauge]], unit: str, colors: tuple[str, ...], step_s: int) -> dict[str, Any]:
    """One line a worker and gauge; `unit` is bytes, ratio, s or count."""
    shown = [
        {"name": label, "color": colors[i % len(colors)], "ts": gauge.ts, "values": _short(gauge.values)}
        for i, (label, gauge) in enumerate(lines)
    ]
    write = {"bytes": bytes_text, "ratio": ratio_text, "s": duration_text, "count": count_text}[unit]
    summary = "; ".join(_summary(label, gauge.values, write) for label, gauge in lines)
    return {"kind": "lines", "unit": unit, "step_s": step_s, "lines": shown, "summary": summary or "no data"}


def limited(
    points: Sequence[tuple[int, float | None]],
    limit: float | None,
    unit: str,
    *,
    name: str,
    limit_name: str,
    window: Window | None = None,
) -> dict[str, Any]:
    """One value over time, with its limit as a line. `window`: where the chart shows another span than its page."""
    return {
        "kind": "limited",
        "ts": [ts for ts, _ in points],
        "values": _short(value for _, value in points),
        "limit": limit,
        "unit": unit,
        "name": name,
        "limit_name": limit_name,
        "spans": [],
        "window": window,
        "summary": _summary(name, [value for _, value in points], lambda value: measure(value, unit)),
    }


def marks(events: Events) -> list[dict[str, Any]]:
    """Deploys, alerts and the like as thin labelled lines. What happened in one second is one line.

    `alert` bears the sign of one; `minor` gives way where labels have no room.
    """
    found: dict[int, list[tuple[int, str]]] = {}
    for ts, kind, text in zip(events.ts, events.kind, events.text, strict=True):
        rank = LEADING.index(kind) if kind in LEADING else len(LEADING)
        line = (rank, f"▲ {text or kind}" if kind == ALERT else text or kind)
        if line not in found.setdefault(ts, []):
            found[ts].append(line)
    made = []
    for ts in sorted(found)[-MOST_EVENTS:]:
        lines = sorted(found[ts], key=lambda line: line[0])
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        first = lines[0][0]
        made.append({"ts": ts, "text": lines[0][1] + more, "alert": first == 0, "minor": first == len(LEADING)})
    return made


def _short(values: Iterable[float | None]) -> list[float | None]:
    return [None if value is None else float(figures(value, _FIGURES)) for value in values]


def _summary(what: str, values: Iterable[float | None], write: Callable[[float | None], str]) -> str:
    seen = [value for value in values if value is not None]
    if not seen:
        return f"{what}: no data"
    return f"{what} between {write(min(seen))} and {write(max(seen))}, last {write(seen[-1])}"
