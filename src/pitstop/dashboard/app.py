"""The dashboard as an ASGI application, by itself or mounted in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002  FastAPI reads the annotations
from starlette.responses import JSONResponse, Response

from pitstop.dashboard import assets
from pitstop.dashboard.access import session_of
from pitstop.dashboard.answers import Answers
from pitstop.dashboard.api import router as api_router
from pitstop.dashboard.auth import Throttle
from pitstop.dashboard.desk import Desk, base_of
from pitstop.dashboard.export import Exposition
from pitstop.dashboard.export.routes import router as export_router
from pitstop.dashboard.faults import RefusalError, body_of, refusal_of
from pitstop.dashboard.guard import Guard, Hosts
from pitstop.dashboard.ingest import router as ingest_router
from pitstop.dashboard.ingest.writer import Writer
from pitstop.dashboard.live import Hub
from pitstop.dashboard.pages import router as pages_router
from pitstop.dashboard.render import page
from pitstop.model import PitstopError, StoreError, SystemClock, __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.dashboard.auth import Keyring
    from pitstop.model import Clock, Store
    from pitstop.model.watching import Watch

_API = "/api/"


def create_app(
    store: Store,
    *,
    auth: Keyring,
    hosts: Iterable[str] = (),
    root_path: str = "",
    writable: bool = True,
    retention_s: int | None = None,
    clock: Clock | None = None,
    watch: Watch | None = None,
) -> FastAPI:
    """The dashboard of `store` for the users of `auth`.

    `hosts`: names it answers to besides loopback, ``name`` or ``name:port``. `root_path`: where a proxy that strips its
    prefix shows it. `writable` false refuses pruning and checkpoints. `retention_s` is for housekeeping by hand; None:
    the store's own. `watch`: whoever watches the store; without one the pages about alerts say how to start it.
    """
    clock = clock or SystemClock()
    app = FastAPI(
        title="Pitstop",
        version=__version__,
        description="What `pitstop` recorded, as JSON. Send an API token as `Authorization: Bearer …`.",
        root_path=root_path,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    allowed = Hosts(hosts)
    app.state.desk = Desk(
        store=store,
        keyring=auth,
        throttle=Throttle(lambda: clock.monotonic_ns() / 1e9),
        hosts=allowed,
        answers=Answers(store, clock),
        hub=Hub(store, auth, clock),
        clock=clock,
        ingest=Writer(store, clock),
        exposition=Exposition(store, clock, watch, writable=writable, retention_s=retention_s),
        writable=writable,
        retention_s=retention_s,
        watch=watch,
    )
    app.include_router(pages_router)
    app.include_router(api_router)
    app.include_router(ingest_router)
    app.include_router(export_router)

    @app.get("/static/{revision}/{name:path}", include_in_schema=False)
    def static(request: Request, revision: str, name: str) -> Response:
        return assets.answer(revision, name, request.headers.get("accept-encoding", ""))

    app.add_exception_handler(RefusalError, _refused)
    app.add_exception_handler(PitstopError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _failed)
    app.add_middleware(Guard, hosts=allowed)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, RefusalError) else refusal_of(error)
    return _answer(request, refusal.status, refusal.body, refusal.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = dict(error.errors()[0])
    name = ".".join(str(part) for part in first.get("loc", ())[1:]) or "the request"
    body = body_of(
        "bad_value",
        f"{name}: {first.get('msg', 'cannot be used')}",
        value=str(first.get("input"))[:200],
        next_step="see /api/v1/openapi.json for what can be asked",
    )
    return _answer(request, 422, body, {})


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing at this address", 405: "this address does not take that method"}
    body = body_of("not_found" if error.status_code == 404 else "refused", words.get(error.status_code, error.detail))  # noqa: PLR2004
    return _answer(request, error.status_code, body, dict(error.headers or {}))


def _answer(request: Request, status: int, body: dict[str, Any], headers: dict[str, str]) -> Response:
    """JSON for the API and for whoever asks for it, else a page that says the same."""
    below = request.scope["path"].removeprefix(base_of(request))
    if below.startswith(_API) or "text/html" not in request.headers.get("accept", ""):
        return JSONResponse(body, status, headers=headers)
    if "Location" in headers:
        return Response(status_code=status, headers=headers)
    return page(
        request,
        "fault.html",
        {"status": status, "fault": body["error"], "signed_in": _knows(request)},
        status=status,
        headers=headers,
    )


def _knows(request: Request) -> bool:
    try:
        return session_of(request) is not None
    except StoreError:
        return False
