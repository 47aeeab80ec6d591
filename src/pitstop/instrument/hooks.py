"""Hooks that attach to frameworks and servers as the host imports them: `pitstop run` without a change to the code.

A finder at the front of `sys.meta_path` lets the others find a module and patches it once it is executed; what is
imported already is patched at once. One that fails is reported by `status`, never raised.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import ATTACHED, NAMED
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

AUTO = "auto"
NONE = "none"


def _starlette(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415  when there is something to patch

    patches.attach_starlette(module.Starlette)


def _fastapi(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    if "build_middleware_stack" in vars(module.FastAPI):
        patches.attach_starlette(module.FastAPI)


def _flask(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    patches.replace(module.Flask, "__call__", patches.flask_call())
    patches.note_errors_of_flask(module.Flask)


def _django_base(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    patches.replace(module.BaseHandler, "resolve_request", patches.django_resolve)
    patches.replace(module.BaseHandler, "process_exception_by_middleware", patches.noting_error)


def _django_exception(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    patches.replace(module, "response_for_exception", patches.noting_error)


def _django_wsgi(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    patches.replace(module.WSGIHandler, "__call__", patches.django_wsgi_call())


def _django_asgi(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    patches.replace(module.ASGIHandler, "__call__", patches.django_asgi_call())


def _litestar(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    patches.replace(module.Litestar, "__init__", patches.litestar_init())


def _uvicorn_server(module: Any) -> None:
    from pitstop.instrument import patches  # noqa: PLC0415

    patches.replace(module.Server, "shutdown", patches.flush_after)


def _uvicorn_config(module: Any) -> None:
    from pitstop.instrument import patches, servers  # noqa: PLC0415

    patches.replace(module.Config, "load", servers.uvicorn_load)


def _gunicorn(module: Any) -> None:
    from pitstop.instrument import patches, servers  # noqa: PLC0415

    patches.replace(module.BaseApplication, "wsgi", servers.gunicorn_wsgi)


def _hypercorn(module: Any) -> None:
    from pitstop.instrument import patches, servers  # noqa: PLC0415

    patches.replace(module.ASGIWrapper, "__init__", servers.hypercorn_wrapper(servers.ASGI))
    patches.replace(module.WSGIWrapper, "__init__", servers.hypercorn_wrapper(servers.WSGI))


def _hypercorn_worker(module: Any) -> None:
    from pitstop.instrument import servers  # noqa: PLC0415

    servers.attach_hypercorn_worker(module)


def _granian(module: Any) -> None:
    from pitstop.instrument import servers  # noqa: PLC0415

    servers.attach_granian(module)


def _wsgiref(module: Any) -> None:
    from pitstop.instrument import patches, servers  # noqa: PLC0415

    patches.replace(module.WSGIServer, "set_app", servers.wsgiref_set_app)


def _werkzeug(module: Any) -> None:
    from pitstop.instrument import patches, servers  # noqa: PLC0415

    patches.replace(module.BaseWSGIServer, "__init__", servers.werkzeug_init)


def _lazily(integration: str, attach: str = "attach") -> Callable[[Any], None]:
    """The function `attach` of the file named like the integration, imported when there is something to patch."""

    def patch(module: Any) -> None:
        getattr(import_module(f"pitstop.instrument.{integration}"), attach)(module)

    return patch


HOOKS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "starlette.applications": ("starlette", _starlette),
    "fastapi.applications": ("fastapi", _fastapi),
    "flask.app": ("flask", _flask),
    "django.core.handlers.base": ("django", _django_base),
    "django.core.handlers.exception": ("django", _django_exception),
    "django.core.handlers.wsgi": ("django", _django_wsgi),
    "django.core.handlers.asgi": ("django", _django_asgi),
    "litestar.app": ("litestar", _litestar),
    "uvicorn.config": ("uvicorn", _uvicorn_config),
    "uvicorn.server": ("uvicorn", _uvicorn_server),
    "gunicorn.app.base": ("gunicorn", _gunicorn),
    "hypercorn.app_wrappers": ("hypercorn", _hypercorn),
    "hypercorn.asyncio.run": ("hypercorn", _hypercorn_worker),
    "hypercorn.trio.run": ("hypercorn", _hypercorn_worker),
    "granian.server.mp": ("granian", _granian),
    "granian.server.mt": ("granian", _granian),
    "granian.server.embed": ("granian", _granian),
    "wsgiref.simple_server": ("wsgiref", _wsgiref),
    "werkzeug.serving": ("werkzeug", _werkzeug),
    "sqlite3": ("sqlite3", _lazily("sqlite")),
    "aiosqlite.core": ("aiosqlite", _lazily("sqlite")),
    "psycopg": ("psycopg", _lazily("psycopg")),
    "psycopg_pool": ("psycopg", _lazily("psycopg")),
    "psycopg2": ("psycopg2", _lazily("psycopg2")),
    "asyncpg": ("asyncpg", _lazily("asyncpg")),
    "pymysql": ("pymysql", _lazily("mysql")),
    "MySQLdb": ("mysqlclient", _lazily("mysql")),
    "sqlalchemy": ("sqlalchemy", _lazily("sqlalchemy")),
    "django.db.transaction": ("django-orm", _lazily("django_orm")),
    "django.db.backends.utils": ("django-orm", _lazily("django_orm")),
    "django.db.migrations.migration": ("django-orm", _lazily("django_orm")),
    "opentelemetry.trace": ("opentelemetry", _lazily("otel", "install_tracer")),
    "opentelemetry.metrics": ("opentelemetry", _lazily("otel", "install_meter")),
    "fastapi.telemetry._asgi": ("opentelemetry", _lazily("otel", "quiet_fastapi")),
    "concurrent.futures.thread": ("threads", _lazily("threads")),
    "threading": ("threads", _lazily("threads")),
    "anyio.to_thread": ("threads", _lazily("threads")),
    "redis.client": ("redis", _lazily("redis")),
    "redis.asyncio.client": ("redis", _lazily("redis")),
    "redis.connection": ("redis", _lazily("redis")),
    "redis.asyncio.connection": ("redis", _lazily("redis")),
    "redis._parsers.commands": ("redis", _lazily("redis")),
    "redis.cluster": ("redis", _lazily("redis")),
    "redis.asyncio.cluster": ("redis", _lazily("redis")),
    "httpx._client": ("httpx", _lazily("httpx")),
    "urllib3.connectionpool": ("urllib3", _lazily("urllib3")),
    "urllib3.response": ("urllib3", _lazily("urllib3")),
    "aiohttp.connector": ("aiohttp", _lazily("aiohttp")),
    "aiohttp.client_reqrep": ("aiohttp", _lazily("aiohttp")),
    "pymemcache.client.base": ("pymemcache", _lazily("pymemcache")),
    "celery.app.base": ("celery", _lazily("celery")),
    "rq.queue": ("rq", _lazily("rq")),
    "rq.job": ("rq", _lazily("rq")),
    "rq.worker": ("rq", _lazily("rq")),
    "rq.worker.base": ("rq", _lazily("rq")),
    "dramatiq.broker": ("dramatiq", _lazily("dramatiq")),
    "jinja2.environment": ("jinja2", _lazily("jinja2")),
    "django.template.backends.django": ("django", _lazily("django_templates")),
    "logging": ("logging", _lazily("logs")),
}
"""Module to wait for, the integration it belongs to, and what patches it."""

INTEGRATIONS = tuple(dict.fromkeys(name for name, _ in HOOKS.values()))
FRAMEWORKS = frozenset({"starlette", "fastapi", "flask", "django", "litestar"})
SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "granian", "wsgiref", "werkzeug"})
OLDEST = {
    "starlette": (0, 40), "fastapi": (0, 115), "flask": (3, 0), "django": (4, 2), "litestar": (2, 13),
    "uvicorn": (0, 34), "gunicorn": (23, 0), "hypercorn": (0, 17), "granian": (2, 0), "werkzeug": (3, 0),
    "aiosqlite": (0, 19), "psycopg": (3, 1), "psycopg2": (2, 9), "asyncpg": (0, 28), "pymysql": (1, 0),
    "mysqlclient": (2, 1), "sqlalchemy": (2, 0), "django-orm": (4, 2),
    "opentelemetry": (1, 25),
    "redis": (5, 0), "httpx": (0, 25), "urllib3": (2, 0), "aiohttp": (3, 9),
    "pymemcache": (4, 0), "celery": (5, 3), "rq": (1, 16), "dramatiq": (1, 14),
    "jinja2": (3, 0),
}  # fmt: skip
"""The oldest versions that are supported: docs/instrument.md."""

_WRITE_AT_THE_END = frozenset({"uvicorn.server", "hypercorn.asyncio.run", "hypercorn.trio.run"})
"""Hooks by which the last second is not lost: needed whatever is recorded."""

states: dict[str, str] = {}
"""What became of an integration that was looked at: ``hooked``, ``failed`` or ``off``."""

reasons: dict[str, str] = {}
"""Why one failed."""


class _Finder:
    """Patches a module of `HOOKS` after its own loader has executed it."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of the `MetaPathFinder` protocol."""
        if name not in self.wanted:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find is not None else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # it has what the import system calls
                return spec
        return None


class _Loader:
    """The module's own loader, and our patch afterwards."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Of the `Loader` protocol."""
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        """Of the `Loader` protocol."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader  # the host finds the module as it would be without us
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _attach(module.__name__, module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _attach(name: str, module: ModuleType) -> None:
    integration, patch = HOOKS[name]
    try:
        patch(module)
    except Exception as error:  # noqa: BLE001  the host goes on without us
        states[integration] = "failed"
        reasons[integration] = f"{name} cannot be hooked: {error!r}"
        sys.stderr.write(f"pitstop: {integration} is not recorded: {reasons[integration]}\n")
    else:
        states.setdefault(integration, "hooked")
        ATTACHED.add(integration)


def chosen(integration: str, names: tuple[str, ...]) -> bool:
    """Whether the setting `names` has `integration`."""
    return NONE not in names and (AUTO in names or integration in names)


def install(names: tuple[str, ...] = (AUTO,), *, autostart: bool = False) -> None:
    """Attach to the integrations in `names` (``auto``: all, ``none``: none), now or when they are imported.

    With `autostart` recording starts as the environment says, and its setting ``instrument`` decides on the names.
    """
    if autostart:
        # the only call upwards: `pitstop run` has started this process, and app wires it
        app: Any = import_module("pitstop.app")
        app.autostart()
        if not RECORDER.on:  # by a setting, or by a wrong one, which has been said
            return
        names = app.load_settings().words("instrument")
    wanted = frozenset(
        module
        for module, (integration, _) in HOOKS.items()
        if chosen(integration, names) or (module in _WRITE_AT_THE_END and NONE not in names)
    )
    NAMED.clear()
    NAMED.update(names)
    for name in INTEGRATIONS:
        if not chosen(name, names):
            states[name] = "off"
    _wait_for(wanted)


def install_inside(names: tuple[str, ...]) -> None:
    """Attach to what runs within requests, as `names` say: drivers, clients, threads.

    Not to frameworks and servers: `instrument` or `pitstop run` do. What is waited for already stays so.
    """
    waiting = [finder.wanted for finder in sys.meta_path if isinstance(finder, _Finder)]
    inside = frozenset(
        module
        for module, (integration, _) in HOOKS.items()
        if integration not in FRAMEWORKS | SERVERS and chosen(integration, names)
    )
    _wait_for(inside.union(*waiting))


def _wait_for(wanted: frozenset[str]) -> None:
    remove()
    sys.meta_path.insert(0, _Finder(wanted))
    for name in wanted:
        module = sys.modules.get(name)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            _attach(name, module)


def remove() -> None:
    """Wait for no more imports; what is patched stays until `uninstrument` or the end of the process."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
