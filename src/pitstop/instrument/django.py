"""Django (≥ 4.2), sync and async: the resolved route of includes and class-based views, regex routes made readable.

Django resolves inside the handler; `PitstopMiddleware`, or the hook on `BaseHandler.resolve_request`, writes the route
onto the running operation. The middleware may stand in ``MIDDLEWARE`` by itself: it then records, too.
"""

from __future__ import annotations

import re
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import IN_FLIGHT, fault, note_failure, note_raised
from pitstop.instrument.names import BY_METHOD, CLIENT_LEFT, SERVER_ERROR, outcome_of
from pitstop.model.series import HTTP
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LONGEST = 1000  # characters of a route that are looked at
_NAMED_GROUP = re.compile(r"\(\?P<(\w+)>")
_OTHER_GROUP = re.compile(r"\((?!\?)|\(\?:")

_clean: dict[str, str] = {}


def normal_form(route: str) -> str:
    r"""`route` as Django gives it, with a leading slash; regular expressions become readable.

    ``items/<int:pk>`` → ``/items/<int:pk>``; ``^archive/(?P<year>[0-9]{4})/$`` → ``/archive/<year>/``.
    """
    known = _clean.get(route)
    if known is None:
        known = "/" + _readable(route[:_LONGEST]).lstrip("/")
        if len(_clean) < _LONGEST:
            _clean[route] = known
    return known


def _readable(route: str) -> str:
    if not any(sign in route for sign in "^$(\\"):
        return route
    out, i = [], 0
    while i < len(route):
        named, other = _NAMED_GROUP.match(route, i), _OTHER_GROUP.match(route, i)
        if named or other:
            i = _after_group(route, i)
            out.append(f"<{named.group(1)}>" if named else "<var>")  # as Django's own simplify_regex
        elif route[i] == "\\" and i + 1 < len(route):
            out.append(route[i + 1] if not route[i + 1].isalnum() else "")
            i += 2
        else:
            out.append("" if route[i] in "^$?" else route[i])
            i += 1
    return "".join(out)


def _after_group(route: str, i: int) -> int:
    """The position after the group that opens at `i`, nested groups and classes skipped."""
    depth, in_class = 0, False
    while i < len(route):
        sign = route[i]
        if sign == "\\":
            i += 1
        elif in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if not depth:
                return i + 1
        i += 1
    return i


def note_route(method: str, match: Any) -> None:
    """Name the running request after the route that Django resolved."""
    op = CURRENT.get()
    if op is None:
        return
    op = op.root or op
    if op.kind == HTTP and not op.end_ns:
        op.name = BY_METHOD[method][normal_form(match.route)]


class PitstopMiddleware:
    """For ``MIDDLEWARE = ["pitstop.instrument.django.PitstopMiddleware", …]``, first in the list; sync and async.

    Records the request itself where the handler is not instrumented; else it only adds the route.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = _is_async(get_response)
        if self._is_async:
            _mark_async(self)

    def __call__(self, request: Any) -> Any:
        """Answer `request`; a coroutine where Django runs async."""
        if self._is_async:
            return self._answer_async(request)
        if not RECORDER.on or CURRENT.get() is not None:
            return self.get_response(request)
        op = _begin()
        try:
            response = self.get_response(request)
        except BaseException as error:
            _end(op, request, None, error)
            raise
        _end(op, request, response, None)
        return response

    async def _answer_async(self, request: Any) -> Any:
        awaitable: Awaitable[Any] = self.get_response(request)
        if not RECORDER.on or CURRENT.get() is not None:
            return await awaitable
        op = _begin()
        try:
            response = await awaitable
        except BaseException as error:
            _end(op, request, None, error)
            raise
        _end(op, request, response, None)
        return response

    def process_exception(self, _request: object, error: Exception) -> None:
        """Called by Django when a view raises."""
        note_raised(error)

    def process_view(self, request: Any, *_view: object) -> None:
        """Called by Django after it has resolved the route."""
        try:
            note_route(request.method, request.resolver_match)
        except Exception:  # noqa: BLE001  the host goes on
            fault("django.process_view")


def _begin() -> Operation:
    op = Operation(HTTP, perf_counter_ns())
    if RECORDER.shedding:
        RECORDER.admit(op)
    CURRENT.set(op)
    IN_FLIGHT.add(op)
    return op


def _end(op: Operation, request: Any, response: Any, error: BaseException | None) -> None:
    """The answer is there; what a streaming one still sends is not in the time, because no middleware sees it."""
    CURRENT.set(None)
    IN_FLIGHT.discard(op)
    try:
        if error is None:
            op.outcome = outcome_of(response.status_code)
            if op.outcome >= SERVER_ERROR:
                note_failure(op, op.raised)
            if not response.streaming:
                op.nbytes = len(response.content)
        else:
            left = type(error).__name__ == "CancelledError"
            op.outcome = CLIENT_LEFT if left else SERVER_ERROR
            if not left:
                note_failure(op, error)
        op.raised = None
        if not op.name:
            op.name = BY_METHOD[request.method][""]
        RECORDER.finish(op, perf_counter_ns())
    except Exception:  # noqa: BLE001
        fault("django.end")


def _is_async(function: Any) -> bool:
    from asgiref.sync import iscoroutinefunction  # noqa: PLC0415  comes with Django

    return bool(iscoroutinefunction(function))


def _mark_async(middleware: Any) -> None:
    from asgiref.sync import markcoroutinefunction  # noqa: PLC0415

    markcoroutinefunction(middleware)


def static_of() -> tuple[str, ...]:
    """The prefix of static files, where it is a path below the root."""
    from django.conf import settings  # noqa: PLC0415  the host has it

    url = settings.STATIC_URL if settings.configured else None
    return (url,) if url and url.startswith("/") and url != "/" else ()
