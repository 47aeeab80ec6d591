"""What a host writes to time a part of its own: `span`, `timeit` and `Timer`."""

from __future__ import annotations

import functools
from time import perf_counter_ns
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar, cast, overload

from pitstop.model.series import FUNCTION
from pitstop.record.failure import failure_of
from pitstop.record.operation import Operation, get_current, reset_current, set_current
from pitstop.record.owners import owned_code
from pitstop.record.recorder import MOST_CHILDREN, RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")

OK = "ok"
ERROR = "error"

_COROUTINE_FLAGS = 0x80 | 0x100  # inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE, without importing inspect


class Span(Operation):
    """``with pitstop.span("price basket"): …``, plain or async: a `function` operation below the one that runs.

    Without one it is a root of its own. Outcome ``ok``, or ``error`` when it raises; exceptions pass through.
    `name` becomes a series, so take it from the code, not from the data; what differs from call to call goes into
    `attrs`.
    """

    def __init__(self, name: str, attrs: Mapping[str, object] | None = None) -> None:
        self.kind = FUNCTION
        self.name = name
        self.outcome = OK
        self.nbytes = 0
        self.attrs = attrs

    def __enter__(self) -> Operation:
        parent = get_current()
        if parent is not None:
            self.parent = parent
            self.root = parent.root or parent
        elif not RECORDER.on:
            return self
        else:
            self.root = None
            self.children = []
            self.end_ns = 0
            RECORDER.admit(self)
        self._token = set_current(self)
        self.start_ns = perf_counter_ns()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        end_ns = perf_counter_ns()
        if exc_type is not None:
            self.outcome = ERROR
        root = self.root
        if self.start_ns:
            try:
                reset_current(self._token)
            except ValueError:  # entered in another context, as an async generator may be
                set_current(self.parent)
        if root is None:
            if self.start_ns:
                if exc is not None:
                    self.failure = failure_of(exc)
                RECORDER.finish(self, end_ns)
            return
        self.end_ns = end_ns
        children = root.children
        if children is not None and not root.end_ns and len(children) < MOST_CHILDREN:
            children.append(
                (
                    self.kind, self.name, self.outcome, self.start_ns, end_ns, self.nbytes, self.attrs,
                    self.parent.start_ns,  # type: ignore[union-attr]  # below a root it has one
                )
            )  # fmt: skip
        else:
            RECORDER.finish_child(self)

    async def __aenter__(self) -> Operation:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc, tb)


def _show_fields() -> None:
    """Let CPython see every field on one instance, so that all of them are kept inline: 0.2 µs a span.

    It makes room for the fields that the first instances of a class have; later ones send an instance to a dict.
    """
    first = Span("")
    first.parent = first.root = first.children = None
    first.start_ns = first.end_ns = 0
    first._token = set_current(get_current())  # noqa: SLF001


_show_fields()
span = Span


@overload
def timeit(name: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def timeit(
    name: str | None = None, attrs: Mapping[str, object] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def timeit(
    name: str | Callable[P, R] | None = None, attrs: Mapping[str, object] | None = None
) -> Callable[..., object]:
    """Time every call of a function, sync or async: ``@timeit``, ``@timeit("fetch_data", {"source": "csv"})``.

    Without a name the function's module and qualified name are used.
    """
    if callable(name):
        return _timed(name, None, None)
    return lambda function: _timed(function, name, attrs)


def _timed(function: Callable[P, R], name: str | None, attrs: Mapping[str, object] | None) -> Callable[P, R]:
    label = name or f"{function.__module__}.{function.__qualname__}"

    code = getattr(function, "__code__", None)
    if code is not None and code.co_flags & _COROUTINE_FLAGS:
        awaitable = cast("Callable[..., object]", function)

        @functools.wraps(function)
        async def arun(*args: object, **kwargs: object) -> object:
            timed = Span(label, attrs)
            timed.__enter__()
            try:
                result = await awaitable(*args, **kwargs)  # type: ignore[misc]  # its flags say it is a coroutine function
            except BaseException as error:
                timed.__exit__(type(error), error, None)
                raise
            timed.__exit__(None, None, None)
            return result

        return cast("Callable[P, R]", arun)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if not RECORDER.on:
            return function(*args, **kwargs)
        timed = Span(label, attrs)
        timed.__enter__()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            timed.__exit__(type(error), error, None)
            raise
        timed.__exit__(None, None, None)
        return result

    return run


for _code in _timed.__code__.co_consts:  # for whoever samples stacks: `run` and `arun` above
    if getattr(_code, "co_name", "") in {"run", "arun"}:
        owned_code(_code, "timed")


class Timer:
    """``with Timer(sink, "fetch", {"source": "csv"}) as t: …``: calls ``sink(name, seconds, attrs)`` at the end.

    The sink may be any callable; what it raises is logged and swallowed. Without a sink the time goes to the recorder,
    as with `span`. `seconds` holds the duration afterwards. Works whether or not recording is on.
    """

    def __init__(
        self,
        sink: Callable[[str, float, Mapping[str, object]], object] | None,
        name: str,
        attrs: Mapping[str, object] | None = None,
    ) -> None:
        self.seconds = 0.0
        self._sink = sink
        self._name = name
        self._attrs = attrs or {}
        self._span: Span | None = None
        self._start_ns = 0

    def __enter__(self) -> Self:
        if self._sink is None:
            self._span = Span(self._name, self._attrs)
            self._span.__enter__()
        self._start_ns = perf_counter_ns()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.seconds = (perf_counter_ns() - self._start_ns) / 1e9
        if self._span is not None:
            self._span.__exit__(exc_type, exc, tb)
        elif self._sink is not None:
            try:
                self._sink(self._name, self.seconds, self._attrs)
            except Exception:
                import logging  # noqa: PLC0415  takes a third of what importing Pitstop may take

                logging.getLogger("pitstop").exception(
                    "the sink of Timer(%r) failed; the time of %.6f s is lost", self._name, self.seconds
                )

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc, tb)


def count(name: str, amount: float = 1) -> None:
    """Add `amount` to the counter `name` of this service; nothing when recording is off."""
    if RECORDER.on:
        RECORDER.count(name, amount)


def gauge(name: str, value: float) -> None:
    """Set the gauge `name` of this process to `value`; nothing when recording is off."""
    if RECORDER.on:
        RECORDER.gauge(name, value)
