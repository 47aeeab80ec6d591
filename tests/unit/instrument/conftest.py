"""ASGI and WSGI driven in process, without a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.record import named
from pitstop.record import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REQUEST = {"type": "http.request", "body": b"", "more_body": False}


@pytest.fixture
def recorder() -> Recorder:
    """One of the test's own, switched on."""
    recorder = Recorder()
    recorder.on = True
    return recorder


def _http_scope(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), **more,
    }  # fmt: skip


class Exchange:
    """What an application did with one scope: the messages it sent, the exception it raised."""

    def __init__(self, sent: list[dict[str, Any]], error: BaseException | None) -> None:
        self.sent = sent
        self.error = error

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    def as_seen(self) -> tuple[list[dict[str, Any]], str]:
        return self.sent, repr(self.error)


def _ask(
    app: Any, scope: dict[str, Any], messages: Iterable[dict[str, Any]] = (REQUEST,), *, fail_send_at: int | None = None
) -> Exchange:
    """Run `app` on `scope`; `receive` gives `messages`, then waits; `send` number `fail_send_at` finds no client."""
    waiting = list(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if fail_send_at is not None and len(sent) >= fail_send_at:
            raise OSError("the client is gone")
        sent.append(message)

    async def run() -> BaseException | None:
        try:
            await asyncio.wait_for(app(scope, receive, send), 5)
        except BaseException as error:  # noqa: BLE001  the test looks at it
            return error
        return None

    error = asyncio.run(run())
    return Exchange(sent, error)


@pytest.fixture
def http_scope() -> Callable[..., dict[str, Any]]:
    """Makes the scope of a request for a path."""
    return _http_scope


@pytest.fixture
def ask() -> Callable[..., Exchange]:
    """Runs an ASGI application on a scope and tells what it did."""
    return _ask


@pytest.fixture
def seen(recorder: Recorder) -> Callable[..., list[tuple[str, str]]]:
    """Name and outcome of what was recorded since the last call."""

    def look(kind: str = "http") -> list[tuple[str, str]]:
        return [(op.name, op.outcome) for op in named(recorder.drain().records) if op.kind == kind]

    return look
