"""The JSON of dashboards and panels, laid out on Grafana's grid of 24 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.dashboard.export.grafana import Json

_WIDTH = 24
_HEIGHT = {"timeseries": 8, "stat": 4, "table": 9}
_SCHEMA = 39  # of dashboards, Grafana 10.4
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SECONDS, RATIO, PER_SECOND, BYTES, NUMBER, BYTES_PER_SECOND = "s", "percentunit", "cps", "bytes", "short", "Bps"
TIME = "dateTimeFromNow"


class Panel(NamedTuple):
    """One panel: `queries` are (expression, legend). `width` of 24 columns; `kind` timeseries, stat or table."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = NUMBER
    width: int = 12
    kind: str = "timeseries"
    text: str = ""
    stacked: bool = False
    low: float | None = 0
    high: float | None = None


def dashboard(name: str, title: str, text: str, panels: Sequence[Panel], variables: Sequence[Json] = ()) -> Json:
    """One dashboard over the services that are chosen in it."""
    return {
        "uid": f"pitstop-{name}",
        "title": f"Pitstop / {title}",
        "description": text,
        "tags": ["pitstop"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [
            {"type": "dashboards", "tags": ["pitstop"], "title": "Pitstop", "asDropdown": True, "includeVars": True,
             "keepTime": True},
        ],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                variable("service", "pitstop_workers", "service_name", "Service"),
                *variables,
            ]
        },
        "panels": _laid_out(panels),
    }  # fmt: skip


def variable(name: str, metric: str, label: str, shown: str) -> Json:
    """A choice among the values of a label; all of them at first."""
    query = f"label_values({metric}, {label})"
    return {
        "name": name,
        "label": shown,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _laid_out(panels: Sequence[Panel]) -> list[Json]:
    out: list[Json] = []
    x = y = tallest = 0
    for number, panel in enumerate(panels, 1):
        height = _HEIGHT[panel.kind]
        if x + panel.width > _WIDTH:
            x, y, tallest = 0, y + tallest, 0
        out.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": height}))
        x, tallest = x + panel.width, max(tallest, height)
    return out


def _panel(panel: Panel, number: int, place: Json) -> Json:
    at_once = panel.kind != "timeseries"
    targets = [
        {
            "refId": chr(ord("A") + i),
            "datasource": _SOURCE,
            "expr": expression,
            "legendFormat": legend,
            "instant": at_once,
            "range": not at_once,
            "format": "table" if panel.kind == "table" else "time_series",
        }
        for i, (expression, legend) in enumerate(panel.queries)
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "noValue": "no data"}
    options: dict[str, Any] = {}
    if panel.low is not None:
        defaults["min"] = panel.low
    if panel.high is not None:
        defaults["max"] = panel.high
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 5,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
        }
        options = {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "graphMode": "none"}
    return {
        "id": number,
        "title": panel.title,
        "description": panel.text,
        "type": panel.kind,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }
