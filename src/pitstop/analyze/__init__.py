"""Answers from rollups: one question a file, pure functions behind one read of the store."""

from pitstop.analyze.advice import Advice, AdviceItem, advice
from pitstop.analyze.breakdown import (
    PART_NAMES,
    Breakdown,
    BreakdownPart,
    BreakdownTrend,
    breakdown,
    breakdown_trend,
    breakdowns,
)
from pitstop.analyze.calls import CacheRow, TaskRow, caches, outgoing, tasks, templates
from pitstop.analyze.compare import Comparison, Delta, compare
from pitstop.analyze.errors import ErrorRow, errors
from pitstop.analyze.health import Health, HealthPart, health, health_of
from pitstop.analyze.heatmap import Heatmap, heatmap
from pitstop.analyze.leaves import LeafRow, RouteCalls, leaves
from pitstop.analyze.memory import Memory, memory
from pitstop.analyze.n_plus_one import NPlusOneRow, n_plus_one
from pitstop.analyze.overview import Overview, overview, overview_of
from pitstop.analyze.plans import Plan, PlanStep, plans
from pitstop.analyze.pools import PoolRow, pools
from pitstop.analyze.profile import (
    DiffNode,
    FlameGraph,
    FlameNode,
    FunctionDelta,
    FunctionRow,
    ProfileDiff,
    ProfileFound,
    flame_graph,
    profile_diff,
    profile_search,
    profiles,
    top_functions,
)
from pitstop.analyze.profile_formats import folded, pprof, speedscope
from pitstop.analyze.queries import CodeLine, QueryDetail, QueryRow, queries, query
from pitstop.analyze.regions import (
    CacheEffect,
    RegionCourse,
    RegionRow,
    cache_effect,
    region_course,
    region_courses,
    regions,
)
from pitstop.analyze.route_detail import RouteDetail, StatusRow, route_detail
from pitstop.analyze.routes import RouteRow, routes, routes_of
from pitstop.analyze.rows import SeriesRow, rows
from pitstop.analyze.runtime import Gauge, Runtime, runtime
from pitstop.analyze.services import ServiceRow, services
from pitstop.analyze.severity import Severity, severity
from pitstop.analyze.sparklines import Sparkline, sparklines
from pitstop.analyze.stats import NO_DATA, Stats
from pitstop.analyze.trace_tree import Gap, TracePart, TraceTree, TreeSpan, trace_tree
from pitstop.analyze.traces import TraceHistogram, TraceRow, trace_histogram, traces
from pitstop.analyze.trend import Trend, automatic_step_s, trend
from pitstop.analyze.verdict import Verdict, verdict, verdict_of

__all__ = [
    "NO_DATA",
    "PART_NAMES",
    "Advice",
    "AdviceItem",
    "Breakdown",
    "BreakdownPart",
    "BreakdownTrend",
    "CacheEffect",
    "CacheRow",
    "CodeLine",
    "Comparison",
    "Delta",
    "DiffNode",
    "ErrorRow",
    "FlameGraph",
    "FlameNode",
    "FunctionDelta",
    "FunctionRow",
    "Gap",
    "Gauge",
    "Health",
    "HealthPart",
    "Heatmap",
    "LeafRow",
    "Memory",
    "NPlusOneRow",
    "Overview",
    "Plan",
    "PlanStep",
    "PoolRow",
    "ProfileDiff",
    "ProfileFound",
    "QueryDetail",
    "QueryRow",
    "RegionCourse",
    "RegionRow",
    "RouteCalls",
    "RouteDetail",
    "RouteRow",
    "Runtime",
    "SeriesRow",
    "ServiceRow",
    "Severity",
    "Sparkline",
    "Stats",
    "StatusRow",
    "TaskRow",
    "TraceHistogram",
    "TracePart",
    "TraceRow",
    "TraceTree",
    "TreeSpan",
    "Trend",
    "Verdict",
    "advice",
    "automatic_step_s",
    "breakdown",
    "breakdown_trend",
    "breakdowns",
    "cache_effect",
    "caches",
    "compare",
    "errors",
    "flame_graph",
    "folded",
    "health",
    "health_of",
    "heatmap",
    "leaves",
    "memory",
    "n_plus_one",
    "outgoing",
    "overview",
    "overview_of",
    "plans",
    "pools",
    "pprof",
    "profile_diff",
    "profile_search",
    "profiles",
    "queries",
    "query",
    "region_course",
    "region_courses",
    "regions",
    "route_detail",
    "routes",
    "routes_of",
    "rows",
    "runtime",
    "services",
    "severity",
    "sparklines",
    "speedscope",
    "tasks",
    "templates",
    "top_functions",
    "trace_histogram",
    "trace_tree",
    "traces",
    "trend",
    "verdict",
    "verdict_of",
]
