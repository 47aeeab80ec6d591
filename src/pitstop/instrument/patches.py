"""Where each framework is hooked: per object by `instrument`, per class by `pitstop run`.

Everything is put back by `undo`. A patched method calls the original and never changes what it answers.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pitstop.instrument import asgi, django, flask, inside, litestar, starlette
from pitstop.instrument.live import fault, flush_at_end, note_raised
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.replacing import replace, undo
from pitstop.model.series import HTTP
from pitstop.record.operation import CURRENT
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.instrument.options import Options
    from pitstop.record.recorder import Recorder

__all__ = ["replace", "undo"]  # beside what is defined here

FLASK_HANDLERS = ("handle_user_exception", "handle_exception")


def starlette_stack(recorder: Recorder, exclude: tuple[str, ...] | None, options: Options) -> Callable[[Any], Any]:
    """For ``build_middleware_stack`` of Starlette and FastAPI: ours goes around it."""

    def wrap(build: Any) -> Any:
        def build_recorded(*self: Any) -> Any:
            stack = build(*self)
            if isinstance(stack, asgi.RecordingMiddleware):  # FastAPI's calls Starlette's
                return stack
            return around_starlette(stack, recorder, exclude, options)

        return build_recorded

    return wrap


def around_starlette(
    stack: Any, recorder: Recorder, exclude: tuple[str, ...] | None, options: Options
) -> asgi.RecordingMiddleware:
    """Our middleware around a built stack."""
    return asgi.RecordingMiddleware(
        stack,
        recorder,
        template_of=starlette.template_of,
        exclude=exclude,
        static_of=starlette.static_of if exclude is None else None,
        options=options,
    )


def flask_wsgi_app(
    app: Any, recorder: Recorder, exclude: tuple[str, ...] | None, options: Options
) -> inside.RecordingMiddleware:
    """Our middleware around a Flask application's ``wsgi_app``."""
    return inside.RecordingMiddleware(
        app.wsgi_app,
        recorder,
        template_of=flask.template_of,
        exclude=exclude,
        static_of=functools.partial(flask.static_of, app) if exclude is None else tuple,
        options=options,
    )


def flask_call(recorder: Recorder = RECORDER, options: Options = OPTIONS) -> Callable[[Any], Any]:
    """For ``Flask.__call__``: one middleware an application, around whatever its ``wsgi_app`` is by then."""

    def wrap(call: Any) -> Any:
        def recorded(self: Any, environ: Any, start_response: Any) -> Any:
            middleware = vars(self).get("_pitstop")
            if middleware is None:
                middleware = self._pitstop = inside.RecordingMiddleware(
                    functools.partial(call, self),
                    recorder,
                    template_of=flask.template_of,
                    static_of=functools.partial(flask.static_of, self),
                    options=options,
                )
            return middleware(environ, start_response)

        return recorded

    return wrap


def django_wsgi_call(recorder: Recorder = RECORDER, options: Options = OPTIONS) -> Callable[[Any], Any]:
    """For ``WSGIHandler.__call__``."""

    def wrap(call: Any) -> Any:
        def recorded(self: Any, environ: Any, start_response: Any) -> Any:
            middleware = vars(self).get("_pitstop")
            if middleware is None:
                middleware = self._pitstop = inside.RecordingMiddleware(
                    functools.partial(call, self), recorder, static_of=django.static_of, options=options
                )
            return middleware(environ, start_response)

        return recorded

    return wrap


def django_asgi_call(recorder: Recorder = RECORDER, options: Options = OPTIONS) -> Callable[[Any], Any]:
    """For ``ASGIHandler.__call__``; stays a coroutine function, by which servers know ASGI 3."""

    def wrap(call: Any) -> Any:
        async def recorded(self: Any, scope: Any, receive: Any, send: Any) -> None:
            middleware = vars(self).get("_pitstop")
            if middleware is None:
                middleware = self._pitstop = asgi.RecordingMiddleware(
                    functools.partial(call, self),
                    recorder,
                    static_of=lambda _: django.static_of(),
                    options=options,
                )
            await middleware(scope, receive, send)

        return recorded

    return wrap


def noting_error(handle: Any) -> Any:
    """For what a framework calls, with an exception among the arguments, to answer for it."""

    def noted(*args: Any, **kwargs: Any) -> Any:
        for argument in args:
            if isinstance(argument, BaseException):
                note_raised(argument)
        return handle(*args, **kwargs)

    return noted


def note_errors_of_flask(owner: Any) -> None:
    """See what Flask, or one application of it, answers for: it does so when the exception is not there any more."""
    for name in FLASK_HANDLERS:
        replace(owner, name, noting_error)


def django_resolve(resolve: Any) -> Any:
    """For ``BaseHandler.resolve_request``: the route goes onto the running operation."""

    def noted(self: Any, request: Any) -> Any:
        match = resolve(self, request)
        try:
            django.note_route(request.method, match)
        except Exception:  # noqa: BLE001  the host goes on
            fault("django.resolve")
        return match

    return noted


def litestar_handler(
    app: Any, recorder: Recorder, exclude: tuple[str, ...] | None, options: Options
) -> asgi.RecordingMiddleware:
    """Our middleware around a Litestar application's handler."""
    return asgi.RecordingMiddleware(
        app.asgi_handler, recorder, template_of=litestar.template_of, exclude=exclude, options=options
    )


def litestar_init(recorder: Recorder = RECORDER, options: Options = OPTIONS) -> Callable[[Any], Any]:
    """For ``Litestar.__init__``: the handler is built there."""

    def wrap(init: Any) -> Any:
        def init_recorded(self: Any, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **kwargs)
            try:
                if not isinstance(self.asgi_handler, asgi.RecordingMiddleware):
                    self.asgi_handler = litestar_handler(self, recorder, None, options)
            except Exception:  # noqa: BLE001
                fault("litestar.init")

        return init_recorded

    return wrap


def attach_starlette(kind: Any) -> None:
    """Record every application of class `kind`."""
    mark_background()
    replace(kind, "build_middleware_stack", starlette_stack(RECORDER, None, OPTIONS))


def flush_after(shutdown: Any) -> Any:
    """For ``uvicorn.Server.shutdown``: uvicorn raises the signal again afterwards, which ends the process at once."""

    async def shut_down_and_flush(*args: Any, **kwargs: Any) -> Any:
        try:
            return await shutdown(*args, **kwargs)
        finally:
            flush_at_end(RECORDER)

    return shut_down_and_flush


def mark_background() -> None:
    """See when Starlette runs background tasks: they are an operation of their own, however short."""
    from starlette.background import BackgroundTask, BackgroundTasks  # noqa: PLC0415  there is a Starlette application

    replace(BackgroundTask, "__call__", _marked)
    replace(BackgroundTasks, "__call__", _marked)


def _marked(call: Any) -> Any:
    async def run_marked(self: Any) -> None:
        op = CURRENT.get()
        if op is not None and op.kind == HTTP and op.end_ns:
            op.left_behind()
        await call(self)

    return run_marked
