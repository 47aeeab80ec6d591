"""Kept answers in front of a WSGI application (PEP 3333). What is not kept passes piece by piece, unchanged."""

from __future__ import annotations

import io
import sys
from http.client import responses as reasons
from typing import TYPE_CHECKING, Any, Final

from pitstop.tune.cache import steps
from pitstop.tune.cache.steps import Compute
from pitstop.tune.cache.web.bodies import Copied, Resumed, Voiding, close, raising
from pitstop.tune.cache.web.making import Making, Mode, answer
from pitstop.tune.cache.web.marking import MARKER, Marker
from pitstop.tune.cache.web.responses import ResponseCache, voided_path
from pitstop.tune.cache.web.rules import Use
from pitstop.tune.conditional import NOT_MODIFIED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pitstop.tune.cache.cache import Cache
    from pitstop.tune.cache.steps import Steps
    from pitstop.tune.cache.web.exchange import Asked, Pair
    from pitstop.tune.cache.web.responses import Look

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.1
_OURS: Final = "pitstop.cache.asked"
# Servers say by these who asks (RFC 3875; Apache's mod_ssl; uWSGI): users log in there, or have a certificate.
_WHO: Final = ("REMOTE_USER", "REMOTE_IDENT", "AUTH_TYPE", "SSL_CLIENT_", "HTTPS_CLIENT_", "HTTPS_DN")
_NO_CERTIFICATE: Final = ("SSL_CLIENT_VERIFY", "NONE")
_PLAIN: Final = {"CONTENT_LENGTH": b"content-length", "CONTENT_TYPE": b"content-type"}


class WSGICachingMiddleware:
    """Serves answers of `app` that are kept in `cache`, and keeps those that say that they may be.

    Options are those of `ResponseCache`.
    """

    def __init__(self, app: App, cache: Cache | ResponseCache, **options: Any) -> None:
        self.app = app
        self.responses = cache if isinstance(cache, ResponseCache) else ResponseCache(cache, **options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:  # noqa: PLR0911  each ends it
        """PEP 3333."""
        if _OURS in environ:
            return self.app(environ, start_response)
        method = environ.get("REQUEST_METHOD", "GET")
        if method not in _SAFE:
            return self._unsafe(environ, start_response)
        look = None
        try:
            asked = self._asked(method, environ)
            if asked is not None:
                look = steps.run(self.responses.look(asked))
        except Exception:  # noqa: BLE001  the host goes on
            self.responses.fault("wsgi.look")
        if look is None:
            return self.app(environ, start_response)
        if look.stored is not None and look.use in {Use.FRESH, Use.STALE}:
            return self._found(look, environ, start_response)
        if method == "GET" and not look.only_if_cached:
            return _Answering(self.responses, look, start_response).run(self.app, environ)
        self.responses.done(look)
        if look.only_if_cached:
            start_response("504 Gateway Timeout", [("content-length", "0")])
            return ()
        return self.app(environ, start_response)

    def _found(self, look: Look, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            why = b"hit"
            if look.use is Use.STALE:
                self._refresh(look, environ)
                why = b"hit; detail=stale"
            self.responses.served(look)
            return _stored(look, start_response, why, self.responses)
        finally:
            self.responses.done(look)

    def _asked(self, method: str, environ: Environ) -> Asked | None:
        path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
        headers, who = {}, False
        for key, value in environ.items():
            if key.startswith("HTTP_"):
                headers[_name(key)] = value.encode("latin-1")
            elif key.startswith(_WHO) and value and (key, value) != _NO_CERTIFICATE:
                who = True
        headers |= {name: environ[key].encode("latin-1") for key, name in _PLAIN.items() if environ.get(key)}
        headers.setdefault(b"host", f"{environ.get('SERVER_NAME')}:{environ.get('SERVER_PORT')}".encode("latin-1"))
        query = environ.get("QUERY_STRING", "").encode("latin-1")
        scheme = environ.get("wsgi.url_scheme", "http")
        return self.responses.asked(method, scheme, path, query, headers, who=who)

    def _unsafe(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """A change of what lies under a path voids the answers of it, once it has been made."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        voided: list[str] = []

        def void(status: str = "") -> None:
            try:
                if status:
                    voided.extend(voided_path(int(status[:3]), path))
                if voided:
                    self.responses.cache.invalidate(*voided)
            except Exception:  # noqa: BLE001  the host goes on
                self.responses.fault("wsgi.unsafe")

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            void(status)  # before the client hears of it: it may ask at once
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        # Again when it is over: hosts may commit after they answered, and somebody may have asked in between.
        try:
            body = self.app(environ, start)
        except BaseException:
            void()
            raise
        if isinstance(body, (list, tuple)):  # it has no end of its own, and servers look at its length
            void()
            return body
        return Voiding(body, void)

    def _refresh(self, look: Look, environ: Environ) -> None:
        """Make a stale answer anew while nobody waits."""
        key = f"{look.slot.visit.key}!refresh"
        flights = self.responses.core.flights
        flight, leads = flights.board(key)
        if not leads:
            return
        copied = {**environ, "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr}

        def make() -> None:
            try:
                again = steps.run(self.responses.look(look.asked, wait=False, anew=True))
                body = _Answering(self.responses, again, _nowhere).run(self.app, copied)
                try:
                    for _ in body:
                        pass
                finally:
                    close(body)
            finally:
                flights.land(key, flight, None)

        def begin() -> Steps[None]:
            yield Compute(make)

        if not self.responses.core.background.thread("refresh http", begin):
            flights.give_up(key, flight)


class _Answering:
    """The application's `start_response` while its answer may be kept."""

    def __init__(self, responses: ResponseCache, look: Look, start_response: StartResponse) -> None:
        self._responses = responses
        self._look = look
        self._start_response = start_response
        self._marker = Marker()
        self._making = Making(responses, look, self._marker)
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._told = False  # whether the server has status and headers
        self._late = False  # it has no status yet, though a piece of the body was asked for
        self.body: Iterable[bytes] = ()

    def run(self, app: App, environ: Environ) -> Iterable[bytes]:
        """Let the application answer."""
        look = self._look
        environ[MARKER] = self._marker
        environ[_OURS] = True
        before = [(_name(key), value.encode("latin-1")) for key, value in environ.items() if key.startswith("HTTP_")]
        asked = dict(self._making.forwarded(before))
        kept = {key: value for key, value in environ.items() if key in _CONDITIONS}
        for key in kept:
            if _name(key) not in asked:
                del environ[key]
        if b"if-none-match" in asked:
            environ["HTTP_IF_NONE_MATCH"] = asked[b"if-none-match"].decode("latin-1")
        try:
            self.body = app(environ, self._start)
            if not self._making.started and not self._told:
                self._pull()
        except Exception:
            try:
                if not self._told and self._making.may_stand_in():
                    return self._stand_in(b"stale-if-error")
            finally:
                self._responses.done(look)
            raise
        except BaseException:
            self._responses.done(look)
            raise
        finally:
            environ.pop("HTTP_IF_NONE_MATCH", None)
            environ.update(kept)
        try:
            return self._answer()
        except BaseException:
            self._responses.done(look)
            raise

    def _pull(self) -> None:
        """A generator calls `start_response` when its first piece is asked for."""
        pieces = iter(self.body)
        try:
            first = [next(pieces)]
        except StopIteration:
            first = []
        except Exception as error:
            if self._making.may_stand_in():
                close(self.body)
                raise
            self._making.mode = Mode.PASS
            self._making.give_up()
            self.body = Resumed([], raising(error), self.body)
            return
        self.body = Resumed(first, pieces, self.body)
        self._late = not self._status

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info is not None and self._told:
            return self._start_response(status, headers, exc_info)
        if self._late:
            return self._start_response(status, headers)
        self._status, self._headers = status, headers
        try:
            pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            self._making.start(int(status[:3]), pairs)
        except Exception:  # noqa: BLE001  the host goes on
            self._responses.fault("wsgi.start")
            self._making.mode = Mode.PASS
            self._making.give_up()
        return self._write

    def _write(self, data: bytes) -> object:
        """PEP 3333's old way to send a body: it cannot be kept."""
        self._making.mode = Mode.PASS
        self._making.give_up()
        if not self._told:
            self._told = True
            self._written = self._start_response(self._status, self._headers)
        return self._written(data)

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            headers = self._headers if self._making.mode is Mode.PASS else _texts(self._making.headers)
            self._start_response(self._status, headers)

    def _answer(self) -> Iterable[bytes]:
        making, body = self._making, self.body
        if making.mode is Mode.PASS:
            self._responses.done(self._look)
            if self._status:
                self._tell()
            return body
        if making.mode is Mode.STAND_IN:
            try:
                close(body)
                out = self._stand_in(b"revalidated" if making.status == NOT_MODIFIED else b"stale-if-error")
                self._keep()
                return out
            finally:
                self._responses.done(self._look)
        if isinstance(body, (list, tuple)):
            return self._held(body, body)
        if making.mode is Mode.HOLD:  # one piece may be all of it, as with Flask and Django
            pieces = iter(body)
            try:
                first = next(pieces, b"")
            except BaseException:
                close(body)
                raise
            if len(first) == making.length:
                return self._held(body, (first, *pieces))
            self.body = Resumed([first], pieces, body)
        return Copied(self)

    def _held(self, body: Iterable[bytes], pieces: Iterable[bytes]) -> Iterable[bytes]:
        """The whole body is there: it gets a validator."""
        try:
            try:
                self._making.piece(b"".join(pieces), last=True)
            finally:
                close(body)
            status, headers, whole = self._making.whole()
            self._told = True
            line = self._status if status == self._making.status else _line(status)
            self._start_response(line, _texts(headers))
            self._keep()
            return (whole,) if whole else ()
        finally:
            self._responses.done(self._look)

    def _keep(self) -> None:
        try:
            steps.run(self._making.finish())
        except Exception:  # noqa: BLE001  the host goes on
            self._responses.fault("wsgi.keep")

    def _stand_in(self, detail: bytes) -> Iterable[bytes]:
        if detail == b"stale-if-error":
            self._responses.stood_in()
        self._responses.served(self._look)
        self._told = True
        return _stored(self._look, self._start_response, b"hit; detail=" + detail, self._responses)

    # For `Copied`.

    def begin_copy(self) -> Iterator[bytes]:
        """Pass on status and headers."""
        self._tell()
        return iter(self.body)

    def end_copy(self, *, whole: bool) -> None:
        """The body is out, or given up."""
        try:
            if whole:
                self._making.piece(b"", last=True)
                self._keep()
        finally:
            self._responses.done(self._look)

    def copy(self, piece: bytes) -> None:
        """Take a copy of a piece."""
        self._making.piece(piece, last=False)


_CONDITIONS: Final = frozenset({"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"})


def _name(key: str) -> bytes:
    return key[5:].replace("_", "-").lower().encode("latin-1")


def _texts(headers: list[Pair]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _line(status: int) -> str:
    return f"{status} {reasons.get(status, 'Unknown')}"


def _stored(look: Look, start_response: StartResponse, why: bytes, responses: ResponseCache) -> Iterable[bytes]:
    assert look.stored is not None
    status, headers, body = answer(look.stored, look.asked, responses.core.now_s(), why)
    start_response(_line(status), _texts(headers))
    return (body,) if body else ()


def _nowhere(_status: str, _headers: object, _exc_info: object = None) -> Callable[[bytes], object]:
    """For an answer that nobody waits for."""
    return len
