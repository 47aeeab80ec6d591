"""What the pages about caches, databases and memory show, from one store and one view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitstop import analyze
from pitstop.analyze.runtime import GC_PAUSE_MAX_S, RSS_BYTES
from pitstop.model import NotFoundError
from pitstop.model.series import POOL_WAIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.dashboard.view import View
    from pitstop.model import Store

FIRST_STATEMENTS = 10
FIRST_PLANS = 10
MOST_LINES = 6  # regions in one chart; more cannot be told apart


@dataclass(frozen=True, slots=True)
class CachesAnswer:
    """Every region, all of them together, their course, and the commands that go over a wire."""

    rows: list[analyze.RegionRow]
    effect: analyze.CacheEffect
    course: analyze.RegionCourse
    courses: list[tuple[str, analyze.RegionCourse]]
    commands: list[analyze.CacheRow]

    @property
    def invalidations(self) -> dict[str, int]:
        """How often something was thrown away, by how, since the workers began.

        What is not by key is counted by the cache, and each of its regions says the same.
        """
        out: dict[str, int] = {}
        for row in self.rows:
            for how, times in row.held.invalidations.items() if row.held else ():
                out[how] = out.get(how, 0) + times if how == "key" else max(out.get(how, 0), times)
        return {how: times for how, times in out.items() if times}


@dataclass(frozen=True, slots=True)
class RegionAnswer:
    """One region."""

    row: analyze.RegionRow
    course: analyze.RegionCourse
    base: analyze.RegionRow | None


@dataclass(frozen=True, slots=True)
class DatabaseAnswer:
    """Pools, what waiting for them cost, statements with plans, advice."""

    pools: list[analyze.PoolRow]
    waits: list[analyze.LeafRow]
    queries: list[analyze.QueryRow]
    plans: Mapping[str, analyze.Plan]
    advice: list[analyze.Advice]

    @property
    def poor(self) -> list[analyze.Plan]:
        """The plans that something is wrong with, the slowest first."""
        found = [plan for plan in self.plans.values() if plan.findings or any(step.findings for step in plan.steps)]
        return sorted(found, key=lambda plan: -(plan.duration_s or 0.0))


@dataclass(frozen=True, slots=True)
class MemoryAnswer:
    """What is reported about memory, and its course."""

    found: analyze.Memory
    rss: list[analyze.Gauge]
    pauses: list[analyze.Gauge]
    step_s: int


def caches(store: Store, view: View) -> CachesAnswer:
    """Every region."""
    rows = analyze.regions(store, view.window, view.service)
    asked = [row.region for row in sorted(rows, key=lambda row: -row.lookups) if row.lookups][:MOST_LINES]
    course, courses = analyze.region_courses(store, view.window, view.service, asked)
    return CachesAnswer(
        rows=rows,
        effect=analyze.cache_effect(rows),
        course=course,
        courses=courses,
        commands=analyze.caches(store, view.window, view.service),
    )


def region(store: Store, view: View, name: str) -> RegionAnswer:
    """One region. Raises NotFoundError when nobody asked it and no worker reports it."""
    rows = [row for row in analyze.regions(store, view.window, view.service, region=name) if row.region == name]
    if not rows:
        raise NotFoundError("no lookup went to this region in this range, and no worker reports it; take a longer one")
    base = None
    if view.baseline is not None:
        base = next(iter(analyze.regions(store, view.baseline, view.service, region=name)), None)
    return RegionAnswer(rows[0], analyze.region_course(store, view.window, view.service, name), base)


def database(store: Store, view: View) -> DatabaseAnswer:
    """Everything about databases."""
    return DatabaseAnswer(
        pools=analyze.pools(store, view.window, view.service),
        waits=analyze.leaves(store, view.window, POOL_WAIT, view.service),
        queries=analyze.queries(store, view.window, view.service, top=FIRST_STATEMENTS),
        plans=analyze.plans(store, view.window.end_s, view.service),
        advice=analyze.advice(store, view.window.end_s, view.service),
    )


def memory(store: Store, view: View) -> MemoryAnswer:
    """Everything about memory."""
    seen = analyze.runtime(store, view.window, view.service, (RSS_BYTES, GC_PAUSE_MAX_S))
    return MemoryAnswer(
        found=analyze.memory(store, view.window, view.service),
        rss=list(seen.of(RSS_BYTES)),
        pauses=list(seen.of(GC_PAUSE_MAX_S)),
        step_s=seen.step_s,
    )
