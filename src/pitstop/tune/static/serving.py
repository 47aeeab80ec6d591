"""Files in front of an application: found, they are answered before any of its middleware runs.

    app = StaticFiles(app, "static", prefix="/static/")        # ASGI
    app = WSGIStaticFiles(app, "static", prefix="/static/")    # WSGI

What is no file of the folder goes to the application, for a fraction of a microsecond.
"""

from __future__ import annotations

import asyncio
import os
from http.client import responses
from typing import TYPE_CHECKING, Any

from pitstop.model.errors import SettingError
from pitstop.tune.conditional import fields
from pitstop.tune.static.answering import Answer, Served, answer
from pitstop.tune.static.index import GONE, IN_MEMORY_BYTES, Entry, Index, is_hashed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping

    from pitstop.tune.static.index import Variant

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_AGE_S = 60  # of files whose names do not change with their content
PIECE_BYTES = 256 << 10
TRIES = 3  # for a file that changes while it is opened: the packed one, what is there then, and once more

_NOTHING = ((b"content-length", b"0"),)
_NOT_FOUND = Answer(404, _NOTHING, None)
_UNAVAILABLE = Answer(503, _NOTHING, None)


class _Files:
    """What both forms share: the folder, its prefix, and reading what is not in memory."""

    def __init__(
        self,
        app: Any,
        folder: str | os.PathLike[str],
        *,
        prefix: str = "/static/",
        max_age_s: int = MAX_AGE_S,
        immutable: Callable[[str], bool] = is_hashed,
        in_memory_bytes: int = IN_MEMORY_BYTES,
        reload: bool = False,
    ) -> None:
        """Serve `folder` under `prefix`, and all else by `app` (None: nothing else).

        Browsers keep a file whose name is `immutable` for a year, others for `max_age_s`. The folder is read once;
        with `reload`, for development, at every request. Files up to 256 KiB are held in memory, up to
        `in_memory_bytes` together. Raises SettingError.
        """
        if not prefix.startswith("/") or not prefix.endswith("/") or max_age_s < 0:
            message = f"{prefix=}, {max_age_s=}: a prefix begins and ends with a slash, an age is 0 or more"
            raise SettingError(message)
        self.app = app
        self._prefix = prefix
        self._reload = reload
        self._served = Served()
        self._index = Index(folder, max_age_s=max_age_s, immutable=immutable, in_memory_bytes=in_memory_bytes)

    def files_served(self) -> int:
        """How many requests were answered with a file, or that the client's is good."""
        return self._served.total()

    def _find(self, path: str) -> Entry | None:
        if self._reload:
            self._index.refresh()
        return self._index.get(path[len(self._prefix) :])

    def _open(self, path: str, method: str, headers: dict[bytes, bytes], entry: Entry | None) -> tuple[int, Answer]:
        """What to answer, and the file where it is not in memory, else -1: a file that has changed is read anew."""
        try:
            for _ in range(TRIES):
                if entry is None:
                    return -1, _NOT_FOUND
                found = answer(method, entry, headers)
                if found.variant is None or found.variant.body is not None:
                    return -1, found
                handle = _opened(entry, found.variant)
                if handle >= 0:
                    return handle, found
                entry = self._index.renew(path[len(self._prefix) :])
        except OSError:  # too many open files, a disk in trouble …: it is not gone
            pass
        return -1, _UNAVAILABLE


def _opened(entry: Entry, variant: Variant) -> int:
    """A handle of the file, -1 where it is no longer the one that the table knows, or packs an older original."""
    try:
        handle = os.open(variant.path, os.O_RDONLY | os.O_CLOEXEC)
    except GONE:
        return -1
    try:
        same = _stamp(os.fstat(handle)) == variant.stamp
        if same and variant is not entry.plain:
            same = _stamp(entry.plain.path.stat()) == entry.plain.stamp
    except GONE:
        same = False
    except BaseException:
        os.close(handle)
        raise
    if same:
        return handle
    os.close(handle)
    return -1


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _forget(opening: asyncio.Future[tuple[int, Answer]]) -> None:
    """Close what was opened for somebody who did not wait for it."""
    if not opening.cancelled() and opening.exception() is None and opening.result()[0] >= 0:
        os.close(opening.result()[0])


class StaticFiles(_Files):
    """For ASGI servers and frameworks; HTTP/1.1 and 2, WebSockets and lifespan pass to the application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "http":
            path = scope["path"]
            if scope.get("root_path") and path.startswith(scope["root_path"]):  # servers put it in front
                path = path[len(scope["root_path"]) :]
            if path.startswith(self._prefix):
                entry = self._find(path)
                if entry is not None:
                    self._served.add()
                    await self._send(scope, send, path, entry)
                    return
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await _send(send, 404, ((b"content-length", b"0"),), b"")

    async def _send(self, scope: Scope, send: Send, path: str, entry: Entry) -> None:
        headers = fields(scope["headers"])
        found = answer(scope["method"], entry, headers)
        variant = found.variant
        if variant is None:
            await _send(send, found.status, found.headers, b"")
            return
        if variant.body is not None:
            await _send(send, found.status, found.headers, _part(variant.body, found))
            return
        opening = asyncio.get_running_loop().run_in_executor(None, self._open, path, scope["method"], headers, entry)
        try:
            handle, found = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_forget)
            raise
        if handle < 0:
            body = b"" if found.variant is None or found.variant.body is None else _part(found.variant.body, found)
            await _send(send, found.status, found.headers, body)
            return
        try:
            await send({"type": "http.response.start", "status": found.status, "headers": list(found.headers)})
            at = found.start
            while at < found.end:
                piece = await asyncio.to_thread(os.pread, handle, min(PIECE_BYTES, found.end - at), at)
                if not piece:  # it was cut while it was read: the server sees that bytes are missing
                    return
                at += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": at < found.end})
        finally:
            os.close(handle)


class WSGIStaticFiles(_Files):
    """For WSGI servers and frameworks."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """PEP 3333."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(self._prefix):
            try:
                path = path.encode("latin-1").decode()  # PEP 3333: bytes as latin-1
                entry = self._find(path)
            except UnicodeError:
                entry = None
            if entry is not None:
                self._served.add()
                return self._answer(environ, start_response, path, entry)
        if self.app is not None:
            return self.app(environ, start_response)  # type: ignore[no-any-return]  # what the application makes
        start_response("404 Not Found", [("content-length", "0")])
        return ()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any], path: str, entry: Entry) -> Iterable[bytes]:
        headers = {
            name[5:].replace("_", "-").lower().encode("latin-1"): value.encode("latin-1", "replace")
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        method = environ.get("REQUEST_METHOD", "GET")
        handle, found = self._open(path, method, headers, entry)
        pieces = _Pieces(handle, found)  # whatever comes, it closes the file
        named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in found.headers]
        start(f"{found.status} {responses[found.status]}", named)
        if found.variant is None:
            return ()
        if found.variant.body is not None:
            return (_part(found.variant.body, found),)
        return pieces


class _Pieces:
    """A part of a file, read as the server takes it."""

    def __init__(self, handle: int, found: Answer) -> None:
        self._handle, self._at, self._end = handle, found.start, found.end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = os.pread(self._handle, min(PIECE_BYTES, self._end - self._at), self._at) if self._handle >= 0 else b""
        if not piece:
            raise StopIteration
        self._at += len(piece)
        return piece

    def close(self) -> None:
        """Called by the server when it needs no more."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    __del__ = close


def _part(body: bytes, found: Answer) -> bytes:
    return body if found.end - found.start == len(body) else body[found.start : found.end]


async def _send(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
