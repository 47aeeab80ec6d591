"""Profiles: as JSON, and as the files that other tools read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pitstop import analyze
from pitstop.dashboard import flame, inside
from pitstop.dashboard.access import api_reader
from pitstop.dashboard.api import inside_shapes as shapes
from pitstop.dashboard.api.shapes import Problem
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Viewed  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.pages.profile import check
from pitstop.dashboard.view import LONGEST_NAME

if TYPE_CHECKING:
    from pitstop.dashboard.view import View
    from pitstop.model.columns import Profiles

router = APIRouter(
    dependencies=[Depends(api_reader)], responses={code: {"model": Problem} for code in (401, 404, 422, 503)}
)
RouteName = Annotated[str | None, Query(max_length=LONGEST_NAME, description="method and template; all when left out")]
Mode = Annotated[str, Query(max_length=20, description="wall, cpu or blocked")]


@router.get("/profile")
def profile(
    request: Request,
    view: Viewed,
    route: RouteName = None,
    mode: Mode = "wall",
    against: Annotated[str, Query(max_length=20, description="none, previous or week")] = "none",
) -> shapes.ProfileOut:
    """What was running, and what changed against another span."""
    check(mode, against)
    asked = route or None
    found = desk_of(request).answers.ask(
        view, ("profile", asked, mode, against), lambda store: inside.profile(store, view, asked, mode, against)
    )
    return shapes.ProfileOut(
        window=view.window,
        mode=mode,
        route=asked,
        samples=found.graph.samples,
        total_s=found.graph.total_s,
        functions=[shapes.FunctionOut(**row._asdict()) for row in found.functions],
        flame=flame.differing(found.diff) if found.diff else flame.flat(found.graph),
        compared=None
        if found.diff is None
        else shapes.ComparedOut(
            before_total_s=found.diff.before_total_s,
            functions=[shapes.FunctionDeltaOut(**row._asdict()) for row in found.diff.functions[:1000]],
        ),
    )


@router.get("/profile/folded", response_class=Response)
def folded(request: Request, view: Viewed, route: RouteName = None, mode: Mode = "wall") -> Response:
    """A line a stack, for flamegraph.pl and inferno; weights in ns."""
    found = _stacks(request, view, route, mode)
    return _file(analyze.folded(found), "text/plain; charset=utf-8", "folded.txt")


@router.get("/profile/speedscope", response_class=Response)
def speedscope(request: Request, view: Viewed, route: RouteName = None, mode: Mode = "wall") -> Response:
    """For https://www.speedscope.app."""
    found = _stacks(request, view, route, mode)
    return _file(analyze.speedscope(found, f"{route or 'everything'}, {mode}"), "application/json", "speedscope.json")


@router.get("/profile/pprof", response_class=Response)
def pprof(request: Request, view: Viewed, route: RouteName = None, mode: Mode = "wall") -> Response:
    """For go tool pprof and whatever reads its format."""
    found = _stacks(request, view, route, mode)
    return _file(analyze.pprof(found, view.window), "application/octet-stream", "profile.pb.gz")


def _stacks(request: Request, view: View, route: str | None, mode: str) -> Profiles:
    check(mode)
    return desk_of(request).store.profiles(view.window, service=view.service, route=route or None, mode=mode)


def _file(content: str | bytes, media_type: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="pitstop-{name}"'}
    return Response(content, media_type=media_type, headers=headers)
