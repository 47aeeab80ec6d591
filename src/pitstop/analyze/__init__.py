"""Answers from rollups: one question a file, pure functions behind one read of the store."""

from pitstop.analyze.compare import Comparison, Delta, compare
from pitstop.analyze.health import Health, HealthPart, health, health_of
from pitstop.analyze.heatmap import Heatmap, heatmap
from pitstop.analyze.overview import Overview, overview, overview_of
from pitstop.analyze.route_detail import RouteDetail, StatusRow, route_detail
from pitstop.analyze.routes import RouteRow, routes, routes_of
from pitstop.analyze.rows import SeriesRow, rows
from pitstop.analyze.runtime import Gauge, Runtime, runtime
from pitstop.analyze.services import ServiceRow, services
from pitstop.analyze.severity import Severity, severity
from pitstop.analyze.sparklines import Sparkline, sparklines
from pitstop.analyze.stats import NO_DATA, Stats
from pitstop.analyze.trend import Trend, automatic_step_s, trend
from pitstop.analyze.verdict import Verdict, verdict, verdict_of

__all__ = [
    "NO_DATA",
    "Comparison",
    "Delta",
    "Gauge",
    "Health",
    "HealthPart",
    "Heatmap",
    "Overview",
    "RouteDetail",
    "RouteRow",
    "Runtime",
    "SeriesRow",
    "ServiceRow",
    "Severity",
    "Sparkline",
    "Stats",
    "StatusRow",
    "Trend",
    "Verdict",
    "automatic_step_s",
    "compare",
    "health",
    "health_of",
    "heatmap",
    "overview",
    "overview_of",
    "route_detail",
    "routes",
    "routes_of",
    "rows",
    "runtime",
    "services",
    "severity",
    "sparklines",
    "trend",
    "verdict",
    "verdict_of",
]
