"""A span that is current for a while: in a ``with``, or around each call of a function.

The API's own is a generator, which takes five times as long.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context.context import Context
from opentelemetry.trace import Status, StatusCode

from pitstop.instrument.otel.context import SPAN_KEY
from pitstop.instrument.otel.spans import FILED, Span
from pitstop.record.operation import Operation, reset_current, set_current

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.trace import Span as ApiSpan

    from pitstop.instrument.otel.tracer import Tracer

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


class Current:
    """A span that begins and is current in a ``with``, or around each call of a function."""

    __slots__ = ("_arguments", "_end_on_exit", "_ours", "_span", "_theirs", "_tracer")

    def __init__(self, tracer: Tracer, arguments: tuple[Any, ...], end_on_exit: bool) -> None:
        self._tracer = tracer
        self._arguments = arguments
        self._end_on_exit = end_on_exit
        self._ours: Token[Operation | None] | None = None

    def __enter__(self) -> ApiSpan:
        tracer = self._tracer
        self._span = span = tracer.start_span(*self._arguments)
        contexts = tracer.contexts
        if isinstance(span, Span) and span.fate == FILED:
            values = contexts.get()
            if not values or (len(values) == 1 and SPAN_KEY in values):
                self._theirs = contexts.set(Context({SPAN_KEY: span}))
            else:
                self._theirs = contexts.set(Context({**values, SPAN_KEY: span}))
            self._ours = set_current(span.operation)
        else:
            self._theirs = contexts.attach(Context({**contexts.get(), SPAN_KEY: span}))
        return span

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._ours is None:
            context_api.detach(self._theirs)
        else:
            try:
                reset_current(self._ours)
                self._tracer.contexts.reset(self._theirs)
            except Exception:  # noqa: BLE001  begun in another context, as a generator may do
                span = self._span
                set_current(span.operation.parent if isinstance(span, Span) and span.operation else None)
        span = self._span
        if exc is not None and isinstance(exc, Exception) and span.is_recording():
            record, set_status = self._arguments[-2:]
            if isinstance(span, Span):
                span.fail(exc, record=record, set_status=set_status)
            else:  # of the provider that the host has set since
                if record:
                    span.record_exception(exc)
                if set_status:
                    span.set_status(Status(StatusCode.ERROR, f"{type(exc).__name__}: {exc}"))
        if self._end_on_exit:
            span.end()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Around every call of `function`."""
        code = getattr(function, "__code__", None)
        tracer, arguments, end_on_exit = self._tracer, self._arguments, self._end_on_exit
        if code is not None and code.co_flags & _COROUTINE:

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with Current(tracer, arguments, end_on_exit):
                    return await function(*args, **kwargs)

            return awaited

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with Current(tracer, arguments, end_on_exit):
                return function(*args, **kwargs)

        return called
