"""Where servers are hooked: plain callables as they load them, and their workers' ends.

An application of a known framework is recorded by the framework's hook and passes unchanged; anything else is wrapped
here. What passed our middleware is marked in its scope or environ, so a framework further in records nothing again;
it only gives the name. uvicorn ≥ 0.34, gunicorn ≥ 23, hypercorn ≥ 0.17, granian ≥ 2.0, wsgiref, werkzeug ≥ 3.0.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from pitstop.instrument import asgi, auto, django, flask, litestar, patches, starlette, wsgi
from pitstop.instrument.live import fault, flush_at_end
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.instrument.asgi import Scope
    from pitstop.instrument.wsgi import Environ

ASGI = "asgi"
WSGI = "wsgi"
_INNER = ("app", "application", "wsgi_app", "asgi_app", "_app")  # what middlewares call what they wrap
_DEEPEST = 20  # middlewares around one another; more is a circle


def served(app: Any, interface: str = "") -> Any:
    """What the server is to call instead of `app`: the same where a framework's hook records it, or it is recorded.

    `interface` is what the server takes it for; "" asks the callable itself. Never fails.
    """
    try:
        known = auto.framework_of(app)
        interface = interface or known
        if interface not in (ASGI, WSGI) or known not in ("", ASGI, WSGI) or _records(app):
            return app
        if interface == ASGI:
            return asgi.ServedMiddleware(app, template_of=_asgi_template, static_of=partial(_asgi_static, app))
        return wsgi.RecordingMiddleware(app, template_of=_wsgi_template, static_of=partial(_wsgi_static, app))
    except Exception:  # noqa: BLE001  the host goes on
        fault("servers.served")
        return app


def _records(app: Any) -> bool:
    return isinstance(app, (asgi.RecordingMiddleware, wsgi.RecordingMiddleware))


def _asgi_template(scope: Scope) -> str:
    """Further in may be a framework that wrote its route into this scope."""
    if "path_template" in scope or "route_handler" in scope:
        return litestar.template_of(scope)
    if "endpoint" in scope or "fastapi" in scope:
        return starlette.template_of(scope)
    return asgi.route_of(scope)


def _wsgi_template(environ: Environ) -> str:
    return flask.template_of(environ)


def _framework_in(app: Any) -> tuple[str, Any]:
    """The framework's application that middlewares are wrapped around, as far as they show it."""
    for _ in range(_DEEPEST):
        known = auto.framework_of(app)
        if known not in ("", ASGI, WSGI):
            return known, app
        fields = getattr(app, "__dict__", {})
        app = next((fields[name] for name in _INNER if callable(fields.get(name))), None)
        if app is None:
            break
    return "", None


def _asgi_static(app: Any, _scope: Scope) -> tuple[str, ...]:
    known, inner = _framework_in(app)
    return (starlette.static_of({"app": inner}) if known == "starlette" else ()) + _django_static()


def _wsgi_static(app: Any) -> tuple[str, ...]:
    known, inner = _framework_in(app)
    return (flask.static_of(inner) if known == "flask" else ()) + _django_static()


def _django_static() -> tuple[str, ...]:
    return django.static_of() if "django.core.handlers.base" in sys.modules else ()


def uvicorn_load(load: Any) -> Any:
    """For ``uvicorn.Config.load``: by its end the application is ASGI 3, inside uvicorn's own middlewares."""

    def load_recorded(self: Any) -> None:
        load(self)
        try:
            outer, app = None, self.loaded_app
            while _is_uvicorns(app):
                outer, app = app, app.app
            if outer is not None and type(outer).__name__ in ("WSGIMiddleware", "_WSGIMiddleware"):
                outer.app = served(app, WSGI)  # here, because it runs in threads that do not know of a request outside
            elif auto.framework_of(app) in ("", ASGI, WSGI) and not _records(app):
                self.loaded_app = served(self.loaded_app, ASGI)
        except Exception:  # noqa: BLE001
            fault("servers.uvicorn_load")

    return load_recorded


def _is_uvicorns(app: Any) -> bool:
    kind = type(app)
    return hasattr(app, "app") and (kind.__module__.startswith("uvicorn.") or kind.__module__ == "a2wsgi.wsgi")


def gunicorn_wsgi(load: Any) -> Any:
    """For ``gunicorn.app.base.BaseApplication.wsgi``, whichever worker asks for the callable."""

    def load_recorded(self: Any) -> Any:
        app = load(self)
        try:
            interface = auto.framework_of(app)
            worker = self.cfg.worker_class_str.lower()
            if not interface and "asgi" not in worker and "uvicorn" not in worker:
                interface = WSGI  # a class, or a callable whose arguments cannot be told
            self.callable = app = served(app, interface)
        except Exception:  # noqa: BLE001
            fault("servers.gunicorn_wsgi")
        return app

    return load_recorded


def hypercorn_wrapper(interface: str) -> Callable[[Any], Any]:
    """For ``__init__`` of hypercorn's ``ASGIWrapper`` and ``WSGIWrapper``."""

    def wrap(init: Any) -> Any:
        def init_recorded(self: Any, app: Any, *args: Any, **kwargs: Any) -> None:
            init(self, served(app, interface), *args, **kwargs)

        return init_recorded

    return wrap


def granian_wrapper(interface: str) -> Callable[[Any], Any]:
    """For granian's ``_callback_wrapper`` of `interface`, which every worker calls with its application."""

    def wrap(wrapper: Any) -> Any:
        def wrap_recorded(callback: Any, *args: Any, **kwargs: Any) -> Any:
            return wrapper(served(callback, interface), *args, **kwargs)

        return wrap_recorded

    return wrap


def wsgiref_set_app(set_app: Any) -> Any:
    """For ``wsgiref.simple_server.WSGIServer.set_app``."""

    def set_recorded(self: Any, application: Any) -> None:
        set_app(self, served(application, WSGI))

    return set_recorded


def werkzeug_init(init: Any) -> Any:
    """For ``__init__`` of werkzeug's servers."""

    def init_recorded(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.app = served(self.app, WSGI)

    return init_recorded


def flush_when_terminated(worker: Any) -> Any:
    """For hypercorn's worker functions, which leave SIGTERM to the system: it would end them at once.

    Ours writes what waits and then lets it end the process just so. Whoever handles the signal keeps it.
    """

    def worker_flushed(*args: Any, **kwargs: Any) -> Any:
        try:
            _flush_at_sigterm()
        except Exception:  # noqa: BLE001  not in the main thread, or no such signal
            fault("servers.flush_when_terminated")
        try:
            return worker(*args, **kwargs)
        finally:
            flush_at_end(RECORDER)

    return worker_flushed


def _flush_at_sigterm() -> None:
    import os  # noqa: PLC0415  only in a worker
    import signal  # noqa: PLC0415

    def flush_and_end(signal_number: int, _frame: object) -> None:
        signal.signal(signal_number, signal.SIG_IGN)  # the server's parent sends it a second time
        flush_at_end(RECORDER)
        signal.signal(signal_number, signal.SIG_DFL)
        os.kill(os.getpid(), signal_number)

    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, flush_and_end)


def attach_granian(module: Any) -> None:
    """Hook one of granian's server modules."""
    for name, interface in (("_asgi_call_wrap", ASGI), ("_wsgi_call_wrap", WSGI)):
        if hasattr(module, name):
            patches.replace(module, name, granian_wrapper(interface))


def attach_hypercorn_worker(module: Any) -> None:
    """Hook the worker functions of one of hypercorn's event loops."""
    for name in ("asyncio_worker", "uvloop_worker", "trio_worker"):
        if hasattr(module, name):
            patches.replace(module, name, flush_when_terminated)
