# ruff: noqa: ANN001, ANN201, ARG001, PLC0415, PLR0917  fixtures are known by name, applications by their protocol
"""Route templates of the installed frameworks, and `instrument` on their applications."""

from __future__ import annotations

import asyncio
from typing import Any

import django
import pytest
from django.conf import settings
from fastapi import APIRouter, BackgroundTasks, FastAPI
from flask import Blueprint, Flask
from flask.views import MethodView
from litestar import Litestar, asgi, get
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pitstop.instrument import auto, instrument, uninstrument
from pitstop.instrument.asgi import RecordingMiddleware
from pitstop.instrument.django import normal_form
from pitstop.model import SettingError
from pitstop.model.record import named


async def hello(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def raw(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("raw")(scope, receive, send)


def starlette_app(tmp_path: Any) -> Starlette:
    inner = Starlette(routes=[Route("/orders/{order:int}", hello), Mount("/deep/{d}", routes=[Route("/leaf", hello)])])
    return Starlette(
        routes=[
            Route("/items/{item}", hello, methods=["GET", "POST"]),
            Route("/files/{rest:path}", hello),
            Mount("/shop/{tenant}", inner),
            Mount("/raw", raw),
            Mount("/static", StaticFiles(directory=tmp_path)),
        ]
    )


def fastapi_app(tmp_path: Any) -> FastAPI:
    app, sub = FastAPI(), FastAPI()
    outer, router = APIRouter(prefix="/outer"), APIRouter(prefix="/inner")
    app.api_route("/items/{item}", methods=["GET", "POST"])(lambda item: item)
    app.get("/files/{rest:path}")(lambda rest: rest)
    sub.get("/orders/{order}")(lambda order: order)
    router.get("/leaf/{n}")(lambda n: n)
    outer.include_router(router)
    app.include_router(outer, prefix="/api")
    app.mount("/shop", sub)
    app.mount("/static", StaticFiles(directory=tmp_path))
    return app


STARLETTE = [
    ("GET", "/items/1", "GET /items/{item}", "200"),
    ("HEAD", "/items/1", "HEAD /items/{item}", "200"),
    ("POST", "/items/1", "POST /items/{item}", "200"),
    ("DELETE", "/items/1", "DELETE /items/{item}", "405"),
    ("GET", "/files/a/b/c", "GET /files/{rest:path}", "200"),
    ("GET", "/shop/acme/orders/7", "GET /shop/{tenant}/orders/{order:int}", "200"),
    ("GET", "/shop/other/deep/x/leaf", "GET /shop/{tenant}/deep/{d}/leaf", "200"),
    ("GET", "/shop/acme/none", "(unmatched)", "404"),
    ("GET", "/raw/anything/at/all", "GET /raw/{path}", "200"),
    ("GET", "/items/1/", "(unmatched)", "307"),
    ("GET", "/.env", "(unmatched)", "404"),
]
FASTAPI = [
    ("GET", "/items/1", "GET /items/{item}", "200"),
    ("DELETE", "/items/1", "DELETE /items/{item}", "405"),
    ("OPTIONS", "/items/1", "OPTIONS /items/{item}", "405"),
    ("GET", "/files/a/b/c", "GET /files/{rest:path}", "200"),
    ("GET", "/api/outer/inner/leaf/1", "GET /api/outer/inner/leaf/{n}", "200"),
    ("GET", "/shop/orders/7", "GET /shop/orders/{order}", "200"),
    ("GET", "/shop/none", "(unmatched)", "404"),
    ("GET", "/openapi.json", "GET /openapi.json", "200"),
    ("GET", "/.env", "(unmatched)", "404"),
]


@pytest.mark.parametrize(("method", "path", "name", "outcome"), STARLETTE)
def test_starlette_routes(recorder, ask, http_scope, seen, tmp_path, method, path, name, outcome):
    app = instrument(starlette_app(tmp_path), recorder)
    for _ in range(2):  # the second time from what was kept
        ask(app, http_scope(path, method))
    assert seen() == [(name, outcome)] * 2


@pytest.mark.parametrize(("method", "path", "name", "outcome"), FASTAPI)
def test_fastapi_routes(recorder, ask, http_scope, seen, tmp_path, method, path, name, outcome):
    app = instrument(fastapi_app(tmp_path), recorder)
    for _ in range(2):
        ask(app, http_scope(path, method))
    assert seen() == [(name, outcome)] * 2


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
def test_mounted_static_files_are_not_recorded(recorder, ask, http_scope, seen, tmp_path, make):
    (tmp_path / "a.css").write_text("body {}")
    app = instrument(make(tmp_path), recorder)
    assert ask(app, http_scope("/static/a.css")).body == b"body {}"
    assert seen() == []


def test_a_route_below_a_static_mount_is_still_recorded(recorder, ask, http_scope, seen, tmp_path):
    app = Starlette(
        routes=[Route("/static/upload", hello), Mount("/static", StaticFiles(directory=tmp_path)), Mount("/", raw)]
    )
    ask(instrument(app, recorder), http_scope("/static/upload"))
    assert seen() == [("GET /static/upload", "200")]


def test_an_own_root_path_is_no_part_of_the_template(recorder, ask, http_scope, seen):
    app = FastAPI(root_path="/behind/proxy")
    app.get("/items/{item}")(lambda item: item)
    instrument(app, recorder)
    ask(app, http_scope("/items/1"))
    ask(app, http_scope("/behind/proxy/items/1"))
    assert seen() == [("GET /items/{item}", "200")] * 2


def test_a_middleware_of_the_host_that_runs_the_rest_in_a_task_changes_nothing(recorder, ask, http_scope, seen):
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            return await call_next(request)

    app = Starlette(routes=[Route("/items/{item}", hello)])
    app.add_middleware(Passing)
    ask(instrument(app, recorder), http_scope("/items/1"))
    assert seen() == [("GET /items/{item}", "200")]


def test_background_tasks_are_recorded_however_short_and_after_their_request(recorder, ask, http_scope):
    app = FastAPI()

    @app.get("/order")
    async def order(tasks: BackgroundTasks) -> int:
        tasks.add_task(asyncio.sleep, 0)
        return 1

    ask(instrument(app, recorder), http_scope("/order"))
    assert [(op.kind, op.name) for op in named(recorder.drain().records)] == [
        ("http", "GET /order"),
        ("task", "background GET /order"),
    ]


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
def test_instrument_is_idempotent_and_undone(recorder, ask, http_scope, seen, tmp_path, make):
    app = make(tmp_path)
    assert instrument(app, recorder) is app
    assert instrument(app, recorder) is app
    ask(app, http_scope("/items/1"))
    assert len(seen()) == 1
    assert instrument(app, recorder) is app
    assert uninstrument(app) is app
    assert "build_middleware_stack" not in vars(app)
    ask(app, http_scope("/items/1"))
    assert seen() == []


def test_an_application_that_has_served_already_can_be_instrumented(recorder, ask, http_scope, seen, tmp_path):
    app = starlette_app(tmp_path)
    ask(app, http_scope("/items/1"))
    ask(instrument(app, recorder), http_scope("/items/1"))
    assert len(seen()) == 1


def str_of(item: int) -> str:
    return str(item)


def flask_app() -> Flask:
    app = Flask(__name__)
    blueprint = Blueprint("v1", __name__, url_prefix="/v1", static_folder="x", static_url_path="/assets")
    app.get("/items/<int:item>", endpoint="item")(str_of)

    class Users(MethodView):
        def get(self, name: str) -> str:
            return name

        def post(self, name: str) -> tuple[str, int]:
            return name, 201

    blueprint.add_url_rule("/users/<name>", view_func=Users.as_view("users"))
    app.register_blueprint(blueprint, url_prefix="/api")
    app.get("/boom", endpoint="boom")(lambda: 1 // 0)
    return app


@pytest.mark.parametrize(
    ("method", "path", "name", "outcome"),
    [
        ("GET", "/items/1", "GET /items/<int:item>", "200"),
        ("HEAD", "/items/1", "HEAD /items/<int:item>", "200"),
        ("OPTIONS", "/items/1", "OPTIONS /items/<int:item>", "200"),
        ("POST", "/items/1", "(unmatched)", "405"),
        ("GET", "/api/users/x", "GET /api/users/<name>", "200"),
        ("POST", "/api/users/x", "POST /api/users/<name>", "201"),
        ("GET", "/boom", "GET /boom", "500"),
        ("GET", "/wp-login.php", "(unmatched)", "404"),
    ],
)
def test_flask_routes(recorder, seen, method, path, name, outcome):
    app = instrument(flask_app(), recorder)
    app.test_client().open(path, method=method).close()
    assert seen() == [(name, outcome)]


def test_flask_static_folders_are_not_recorded_and_instrument_is_undone(recorder, seen):
    app = flask_app()
    assert instrument(instrument(app, recorder), recorder) is app
    for path in ("/static/a.css", "/api/assets/b.css"):
        app.test_client().get(path).close()
    assert seen() == []
    assert uninstrument(app) is app
    app.test_client().get("/items/1").close()
    assert seen() == []


def test_litestar_routes(recorder, ask, http_scope, seen):
    @get("/items/{item:int}")
    async def item(item: int) -> int:
        return item

    mounted = asgi("/raw", is_mount=True, copy_scope=False)(raw)
    app = Litestar([item, mounted])
    assert instrument(instrument(app, recorder), recorder) is app
    for path in ("/items/1", "/items/x", "/none", "/raw/a/b"):
        ask(app, http_scope(path))
    assert seen() == [
        ("GET /items/{item}", "200"),
        ("(unmatched)", "404"),
        ("(unmatched)", "404"),
        ("GET /raw/{path}", "200"),
    ]
    ask(uninstrument(app), http_scope("/items/1"))
    assert seen() == []


@pytest.mark.parametrize(
    ("route", "readable"),
    [
        ("", "/"),
        ("items/<int:pk>", "/items/<int:pk>"),
        (r"^archive/(?P<year>[0-9]{4})/$", "/archive/<year>/"),
        (r"^a/(\d+)/(?P<b>(x|[)])+)\.json$", "/a/<var>/<b>.json"),
        (r"api/^users/(?:me|you)\Z", "/api/users/<var>"),
        (r"^((?:[\w\-]+/)*)$", "/<var>"),
        ("^" + "(" * 5000, "/<var>"),
    ],
)
def test_django_routes_are_readable(route, readable):
    assert normal_form(route) == readable


@pytest.fixture(scope="module")
def django_project() -> None:
    if not settings.configured:
        settings.configure(
            DEBUG=False, SECRET_KEY="of a test", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, STATIC_URL="/static/",
            MIDDLEWARE=["pitstop.instrument.django.PitstopMiddleware"],
        )  # fmt: skip
        django.setup()


def urls() -> list[Any]:
    from django.http import HttpResponse
    from django.urls import include, path, re_path
    from django.views import View

    class Item(View):
        def get(self, _request: Any, pk: int) -> HttpResponse:
            return HttpResponse(str(pk))

    async def later(_request: Any) -> HttpResponse:
        return HttpResponse("later")

    return [
        path("items/<int:pk>", Item.as_view()),
        path("api/", include([re_path(r"^users/(?P<name>\w+)$", lambda _request, name: HttpResponse(name))])),
        path("later", later),
        path("boom", lambda _request: 1 // 0),
    ]


def __getattr__(name: str) -> Any:
    if name == "urlpatterns":
        return urls()
    raise AttributeError(name)


DJANGO = [
    ("/items/1", "GET /items/<int:pk>", "200"),
    ("/api/users/x", "GET /api/users/<name>", "200"),
    ("/later", "GET /later", "200"),
    ("/boom", "GET /boom", "500"),
    ("/none", "(unmatched)", "404"),
]


def wsgi_get(app: Any, path: str) -> None:
    import io

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
    }
    body = app(environ, lambda *_: None)
    list(body)
    body.close()


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@pytest.mark.parametrize("how", ["instrument", "middleware"])
def test_django_routes(recorder, ask, http_scope, seen, monkeypatch, django_project, interface, how):
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    monkeypatch.setattr("pitstop.instrument.django.RECORDER", recorder)
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    app = WSGIHandler() if interface == "wsgi" else ASGIHandler()
    if how == "instrument":
        assert instrument(instrument(app, recorder), recorder) is app
    try:
        for path, _, _ in DJANGO:
            if interface == "wsgi":
                wsgi_get(app, path)
            else:
                ask(app, http_scope(path))
    finally:
        uninstrument(app)
    assert seen() == [(name, outcome) for _, name, outcome in DJANGO]
    assert not hasattr(WSGIHandler.__call__, "__wrapped__")


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@pytest.mark.parametrize("how", ["instrument", "middleware"])
def test_what_a_django_view_raises_is_the_failure(
    recorder, ask, http_scope, monkeypatch, django_project, interface, how
):
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    monkeypatch.setattr("pitstop.instrument.django.RECORDER", recorder)
    app = WSGIHandler() if interface == "wsgi" else ASGIHandler()
    if how == "instrument":
        instrument(app, recorder)
    try:
        for path in ("/boom", "/none", "/items/1"):
            if interface == "wsgi":
                wsgi_get(app, path)
            else:
                ask(app, http_scope(path))
    finally:
        uninstrument(app)
    boom, none, item = named(recorder.drain().records)
    assert boom.failure is not None
    assert (boom.failure.type, boom.failure.message) == (
        "builtins.ZeroDivisionError",
        "integer division or modulo by zero",
    )
    assert boom.failure.line.endswith(" in urls")
    assert (none.failure, item.failure) == (None, None)


def test_plain_callables_are_wrapped_and_unwrapped(recorder, ask, http_scope, seen):
    wrapped = instrument(raw, recorder)
    assert instrument(wrapped, recorder) is wrapped
    ask(wrapped, http_scope())
    assert seen() == [("(unmatched)", "200")]
    assert uninstrument(wrapped) is raw

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    recorded = instrument(wsgi, recorder)
    recorded({"REQUEST_METHOD": "GET"}, lambda *_: None)
    assert seen() == [("(unmatched)", "200")]
    assert uninstrument(recorded) is wsgi


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> None: ...

    def method(self, environ: Any, start_response: Any) -> None: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [(AsgiObject(), "asgi"), (WsgiObject(), "wsgi"), (WsgiObject().method, "wsgi"), (raw, "asgi")],
)
def test_the_interface_of_a_callable_is_told_by_its_arguments(app, interface):
    assert auto.framework_of(app) == interface


@pytest.mark.parametrize("thing", [None, 3, "app:app", lambda: 0, lambda a: a, FastAPI, print])
def test_what_is_no_application_is_refused_by_name(thing):
    with pytest.raises(SettingError, match=f"cannot instrument .*{type(thing).__name__}"):
        instrument(thing)


def test_the_host_may_put_our_middleware_into_starlettes_own_list(recorder, ask, http_scope, seen):
    app = Starlette(routes=[Route("/items/{item}", hello)])
    app.add_middleware(RecordingMiddleware, recorder=recorder)
    ask(app, http_scope("/items/1"))
    assert seen() == [("GET /items/{item}", "200")]
