"""Load shedding for WSGI applications: ``app.wsgi_app = WsgiLimitMiddleware(app.wsgi_app)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.tune.limit.limiter import RETRY_AFTER_S, Limiter, Priority
from pitstop.tune.limit.priorities import BODY, RetryAfter, by_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Environ = dict[str, Any]
    App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_FAILED = "5"


class WsgiLimitMiddleware:
    """Answers 503 with Retry-After where `limiter` has no room; a request has left when its body is closed.

    `priorities` is by prefix of the path, or `priority` tells it from the environ. Failed requests' times do not count.
    """

    def __init__(
        self,
        app: App,
        limiter: Limiter | None = None,
        *,
        priorities: Mapping[str, Priority] | None = None,
        priority: Callable[[Environ], Priority] | None = None,
        retry_after_s: int = RETRY_AFTER_S,
    ) -> None:
        self.app = app
        self.limiter = limiter or Limiter()
        self._by_path = by_path(priorities)
        self._by_environ = priority
        self._retry_after = RetryAfter(retry_after_s)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI."""
        by_environ = self._by_environ
        priority = self._by_path(environ.get("PATH_INFO", "")) if by_environ is None else by_environ(environ)
        began_ns = self.limiter.enter(priority)
        if not began_ns:
            headers = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(BODY))),
                ("Retry-After", self._retry_after().decode()),
                ("Cache-Control", "no-store"),
            ]
            start_response("503 Service Unavailable", headers)
            return [BODY]
        counts = True

        def started(status: str, *rest: Any) -> Any:
            nonlocal counts
            if status.startswith(_FAILED):
                counts = False
            return start_response(status, *rest)

        try:
            body = self.app(environ, started)
        except BaseException:
            self.limiter.leave(began_ns, counts=False)
            raise
        if type(body) is list or type(body) is tuple:
            self.limiter.leave(began_ns, counts=counts)
            return body
        return _Body(body, lambda: self.limiter.leave(began_ns, counts=counts))


class _Body:
    """The application's, and what is done once at its end."""

    def __init__(self, body: Iterable[bytes], end: Callable[[], None]) -> None:
        self._body = body
        self._end: Callable[[], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """The server calls it in any case."""
        end, self._end = self._end, None
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            if end is not None:
                end()

    def __del__(self) -> None:
        if self._end is not None:  # a server that does not close, against PEP 3333
            self._end()
