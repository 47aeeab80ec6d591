"""OpenTelemetry's context and ours, kept in step: whoever activates a span activates its operation.

``use_span`` and ``context.attach`` are functions of the API that every instrumentation calls; they end here. Our own
spans and leaves inside then find the operation as they find any other.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import _RuntimeContext
from opentelemetry.trace.propagation import _SPAN_KEY

from pitstop.instrument.otel.spans import Span
from pitstop.record.operation import get_current, reset_current, set_current

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context.context import Context

SPAN_KEY: str = _SPAN_KEY


class LinkedContext(_RuntimeContext):
    """The runtime context `inner` of the host, which keeps holding what is attached.

    `get`, `set` and `reset` are `inner`'s, or those of its context variable, which are a frame less.
    """

    def __init__(self, inner: _RuntimeContext) -> None:
        self.inner = inner
        self.get: Callable[[], Context]
        self.set: Callable[[Context], Any]
        self.reset: Callable[[Any], None]
        variable: Any = getattr(inner, "_current_context", None)
        if not isinstance(variable, ContextVar):
            self.get, self.set, self.reset = inner.get_current, inner.attach, inner.detach
        else:
            self.get, self.set, self.reset = variable.get, variable.set, variable.reset

    def get_current(self) -> Context:
        """Of the protocol; `inner`'s own."""
        return self.get()

    def attach(self, context: Context) -> Any:
        """Activate `context`, and the operation of its span where that is another one than before."""
        span = context.get(SPAN_KEY)
        if not isinstance(span, Span) or self.get().get(SPAN_KEY) is span:
            return self.set(context)
        token = self.set(context)
        operation, running = span.operation, get_current()
        if operation is None:
            return token
        if running is not None and (running is operation or (span.merged and running.root is operation)):
            return token
        return token, set_current(operation), running

    def detach(self, token: Any) -> None:
        """Back to what was before, in both."""
        if type(token) is not tuple:
            self.reset(token)
            return
        theirs, ours, before = token
        try:
            reset_current(ours)
        except ValueError:  # attached in another context, as a generator may do
            with suppress(ValueError):
                set_current(before)
        self.reset(theirs)


def link(module: Any) -> LinkedContext:
    """Put ours around the runtime context of `module`, ``opentelemetry.context``; once."""
    inner = module._RUNTIME_CONTEXT  # noqa: SLF001  there is no other way to see `use_span`
    if isinstance(inner, LinkedContext):
        return inner
    module._RUNTIME_CONTEXT = linked = LinkedContext(inner)  # noqa: SLF001
    return linked
