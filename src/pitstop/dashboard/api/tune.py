"""What can be asked about caches, databases and memory."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from pitstop import analyze
from pitstop.dashboard import tuning
from pitstop.dashboard.access import api_reader
from pitstop.dashboard.api import tune_shapes as shapes
from pitstop.dashboard.api.inside_shapes import QueryOut
from pitstop.dashboard.api.shapes import Problem
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Viewed  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.view import LONGEST_NAME, LONGEST_STATEMENT

router = APIRouter(
    dependencies=[Depends(api_reader)], responses={code: {"model": Problem} for code in (401, 404, 422, 503)}
)
Limit = Annotated[int, Query(ge=1, le=5000)]


@router.get("/caches")
def caches(request: Request, view: Viewed) -> shapes.CachesOut:
    """Which caches pay off: regions, the one that saves most first, and commands over a wire."""
    found = desk_of(request).answers.ask(view, ("caches",), lambda store: tuning.caches(store, view))
    return shapes.CachesOut(
        window=view.window,
        effect=shapes.EffectOut.of(found.effect),
        regions=[shapes.RegionOut.of(row) for row in found.rows],
        commands=[shapes.CommandOut.model_validate(row) for row in found.commands],
    )


@router.get("/caches/detail")
def cache(
    request: Request, view: Viewed, region: Annotated[str, Query(max_length=LONGEST_NAME)]
) -> shapes.CacheCourseOut:
    """One region and its course."""
    found = desk_of(request).answers.ask(view, ("cache", region), lambda store: tuning.region(store, view, region))
    course, held = found.course, found.row.held
    names = ("step_s", "ts", "hits", "stale", "misses", "errors", "hit_ratio")
    return shapes.CacheCourseOut(
        window=view.window,
        region=shapes.RegionOut.of(found.row),
        tenants=[shapes.TenantOut(tenant=t, hits=h, misses=m) for t, h, m in held.tenants] if held else [],
        **{name: getattr(course, name) for name in names},
    )


@router.get("/database")
def database(request: Request, view: Viewed) -> shapes.DatabaseOut:
    """Pools of connections, the heaviest statements, what should change."""
    found = desk_of(request).answers.ask(view, ("database",), lambda store: tuning.database(store, view))
    return shapes.DatabaseOut(
        window=view.window,
        pools=[shapes.PoolOut.model_validate(row) for row in found.pools],
        queries=[QueryOut.of(row) for row in found.queries],
        advice=[shapes.AdviceOut.model_validate(one) for one in found.advice],
    )


@router.get("/plans")
def plans(
    request: Request,
    view: Viewed,
    statement: Annotated[str | None, Query(max_length=LONGEST_STATEMENT)] = None,
    limit: Limit = 100,
) -> list[shapes.PlanOut]:
    """The newest plan of each statement, or of one, the newest first."""
    found = desk_of(request).answers.ask(
        view, ("plans",), lambda store: analyze.plans(store, view.window.end_s, view.service)
    )
    chosen = [plan for plan in found.values() if statement in {None, plan.statement}]
    chosen.sort(key=lambda plan: (-plan.taken_at, plan.fingerprint))
    return [shapes.PlanOut.model_validate(plan) for plan in chosen[:limit]]


@router.get("/memory")
def memory(request: Request, view: Viewed) -> shapes.MemoryOut:
    """Pressure, leaks, collectors, pools of objects, limiters."""
    found = desk_of(request).answers.ask(view, ("memory",), lambda store: tuning.memory(store, view))
    return shapes.MemoryOut.model_validate(found.found)
