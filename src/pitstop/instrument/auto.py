"""`instrument(app)`: tells by itself what it was given."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from pitstop.instrument import asgi, inside, patches, wsgi
from pitstop.instrument.options import OPTIONS
from pitstop.model.errors import SettingError
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.instrument.options import Options
    from pitstop.record.recorder import Recorder

A = TypeVar("A")

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect
_ASGI_ARGUMENTS = 3
_WSGI_ARGUMENTS = 2
_CLASS_HOOKS: tuple[tuple[str, str], ...] = (
    ("django.core.handlers.base.BaseHandler", "resolve_request"),
    ("django.core.handlers.wsgi.WSGIHandler", "__call__"),
    ("django.core.handlers.asgi.ASGIHandler", "__call__"),
    ("django.core.handlers.base.BaseHandler", "process_exception_by_middleware"),
    ("django.core.handlers.exception", "response_for_exception"),
)


def framework_of(app: object) -> str:
    """``starlette`` (FastAPI, too), ``litestar``, ``flask``, ``django``, ``asgi``, ``wsgi``, or "" when it is none."""
    for kind in type(app).__mro__:
        known = _KNOWN.get(f"{kind.__module__}.{kind.__qualname__}")
        if known is not None:
            return known
    return _interface_of(app)


_KNOWN = {
    "starlette.applications.Starlette": "starlette",
    "litestar.app.Litestar": "litestar",
    "flask.app.Flask": "flask",
    "django.core.handlers.wsgi.WSGIHandler": "django",
    "django.core.handlers.asgi.ASGIHandler": "django",
}


def _interface_of(app: object) -> str:
    """Whether a callable takes (scope, receive, send) or (environ, start_response)."""
    if isinstance(app, asgi.RecordingMiddleware):
        return "asgi"
    if isinstance(app, wsgi.RecordingMiddleware):
        return "wsgi"
    if isinstance(app, type) or not callable(app):
        return ""
    inner: Any = app.func if isinstance(app, functools.partial) else app
    function = inner if hasattr(inner, "__code__") or hasattr(inner, "__func__") else type(inner).__call__
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return ""
    bound = hasattr(inner, "__func__") or function is not inner
    arguments = code.co_argcount - bound
    if isinstance(app, functools.partial):
        arguments -= len(app.args)
    if arguments == _ASGI_ARGUMENTS:
        return "asgi"
    return "wsgi" if arguments == _WSGI_ARGUMENTS and not code.co_flags & _COROUTINE else ""


def instrument(  # noqa: C901  one branch for each framework
    app: A, recorder: Recorder = RECORDER, *, exclude: tuple[str, ...] | None = None, options: Options = OPTIONS
) -> A:
    """Record every request of `app`; idempotent; `uninstrument` undoes it.

    FastAPI, Starlette, Litestar, Flask and Django objects are patched in place and returned; any other ASGI or WSGI
    callable is returned wrapped. `exclude`: path prefixes that are not recorded, instead of the setting of that name
    and the static files found. Raises SettingError for anything else.
    """
    target: Any = app
    framework = framework_of(app)
    if framework == "starlette":
        patches.mark_background()
        if patches.replace(target, "build_middleware_stack", patches.starlette_stack(recorder, exclude, options)) and (
            target.middleware_stack is not None and not isinstance(target.middleware_stack, asgi.RecordingMiddleware)
        ):
            target.middleware_stack = patches.around_starlette(target.middleware_stack, recorder, exclude, options)
    elif framework == "litestar":
        if not isinstance(target.asgi_handler, asgi.RecordingMiddleware):
            target.asgi_handler = patches.litestar_handler(target, recorder, exclude, options)
    elif framework == "flask":
        patches.note_errors_of_flask(target)
        if not isinstance(target.wsgi_app, wsgi.RecordingMiddleware):
            target.wsgi_app = patches.flask_wsgi_app(target, recorder, exclude, options)
    elif framework == "django":
        instrument_django(recorder, options)
    elif framework == "asgi":
        if not isinstance(app, asgi.RecordingMiddleware):
            target = asgi.serve(app, recorder, exclude, options)
    elif framework == "wsgi":
        if not isinstance(app, wsgi.RecordingMiddleware):
            target = inside.RecordingMiddleware(target, recorder, exclude=exclude, options=options)
    else:
        raise SettingError(
            f"cannot instrument {type(app).__module__}.{type(app).__qualname__}: pass a FastAPI, Starlette, Litestar, "
            "Flask or Django application, or a callable that takes (scope, receive, send) or (environ, start_response)"
        )
    return target  # type: ignore[no-any-return]  # what came in; for a plain callable ours around it, which is called alike


def uninstrument(app: A) -> A:
    """Undo `instrument`: the application object, as it was; the callable that was wrapped."""
    target: Any = app
    framework = framework_of(app)
    if framework == "starlette":
        patches.undo(target, "build_middleware_stack")
        if isinstance(target.middleware_stack, asgi.RecordingMiddleware):
            target.middleware_stack = target.middleware_stack.app
    elif framework == "litestar":
        if isinstance(target.asgi_handler, asgi.RecordingMiddleware):
            target.asgi_handler = target.asgi_handler.app
    elif framework == "flask":
        for name in patches.FLASK_HANDLERS:
            patches.undo(target, name)
        if isinstance(target.wsgi_app, wsgi.RecordingMiddleware):
            target.wsgi_app = target.wsgi_app.app
    elif framework == "django":
        uninstrument_django()
    elif isinstance(app, (asgi.RecordingMiddleware, wsgi.RecordingMiddleware)):
        target = app.app
    return target  # type: ignore[no-any-return]  # what came in; of ours around a plain callable, that callable


def instrument_django(recorder: Recorder = RECORDER, options: Options = OPTIONS) -> None:
    """Hook Django's handlers, for all of this process: a process has one Django."""
    wraps: tuple[Callable[[Any], Any], ...] = (
        patches.django_resolve,
        patches.django_wsgi_call(recorder, options),
        patches.django_asgi_call(recorder, options),
        patches.noting_error,
        patches.noting_error,
    )
    for (path, name), wrap in zip(_CLASS_HOOKS, wraps, strict=True):
        patches.replace(_resolve(path), name, wrap)


def uninstrument_django() -> None:
    """Put Django's handlers back."""
    for path, name in _CLASS_HOOKS:
        patches.undo(_resolve(path), name)


def _resolve(path: str) -> Any:
    from importlib import import_module  # noqa: PLC0415  only for those who have the framework

    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
