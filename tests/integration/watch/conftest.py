"""A ledger in a file, and providers that are real servers: quick, hanging, failing, dripping."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.watching import FIRING, PAGE, Notification
from pitstop.watch.bulkhead import Retry
from pitstop.watch.ledger import Ledger
from pitstop.watch.outbox import Outbox
from pitstop.watch.roster import Channels
from pitstop.watch.secrets import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ALLOW = ("localhost",)
QUICK = Retry(first_s=0.05, most_s=0.2, tries=3)


class Provider:
    """What a server on loopback was sent, and how it answers: `answer(handler, body)`."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, bytes], None]) -> None:
        self.got: list[tuple[float, dict[str, str], bytes]] = []
        self.released = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                provider.got.append((time.monotonic(), {k.lower(): v for k, v in self.headers.items()}, body))
                with suppress(OSError):
                    answer(self, body)

            do_GET = do_POST  # noqa: N815  http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.port: int = self.server.server_address[1]
        self.url = f"http://localhost:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, body in self.got]

    def stop(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    def answer(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def in_turn(*answers: int | tuple[int, dict[str, str]]) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    """These statuses one after the other, then 200 for good."""
    left = list(answers)

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        code = left.pop(0) if left else 200
        number, headers = (code, {}) if isinstance(code, int) else code
        status(number, **headers)(handler, body)

    return answer


@pytest.fixture
def provider() -> Iterator[Callable[..., Provider]]:
    """Starts one; all are stopped at the end."""
    started: list[Provider] = []

    def start(answer: Callable[[BaseHTTPRequestHandler, bytes], None] | None = None) -> Provider:
        started.append(Provider(answer or status(200)))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def hanging(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    """Says nothing for as long as the test lasts."""
    for _ in range(600):
        if handler.server.__dict__.get("_BaseServer__shutdown_request"):
            return
        time.sleep(0.05)


def dripping(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    """A byte now and then: each read succeeds, and there is no end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    for _ in range(600):
        handler.wfile.write(b".")
        time.sleep(0.05)


def note(key: str = "k1", **changes: Any) -> Notification:
    """A notification as rules make them."""
    made = Notification(
        key, FIRING, PAGE, "checkout is slow", "P95 of POST /checkout is 1.2 s",
        {"rule": "checkout", "service": "shop"},
        1_790_000_000.0, value=1.2, limit=0.5, unit="s", url="https://pitstop.example/alerts/1",
    )  # fmt: skip
    return made._replace(**changes)


class Told:
    """An outbox over a ledger, with webhook channels to providers."""

    def __init__(self, folder: Path, *, retry: Retry = QUICK) -> None:
        self.path = folder / "pitstop.watch.db"
        self.ledger = Ledger(self.path)
        self.channels = Channels(self.ledger, Vault(path=folder / "pitstop.watch.key"))
        self.outbox = Outbox(self.ledger, self.channels, egress_allow=ALLOW, retry=retry)

    def add(self, name: str, url: str, kind: str = "webhook", **options: Any) -> None:
        self.channels.save(name, kind, url, options, "test")

    def put(self, notification: Notification) -> list[int]:
        with self.ledger.write() as db:
            return self.outbox.put(db, notification)

    def states(self, channel: str) -> list[str]:
        return [one.state for one in reversed(self.outbox.deliveries(limit=10_000)) if one.channel == channel]

    def until(self, holds: Callable[[], bool], within_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline_s, self.outbox.deliveries()
            time.sleep(0.01)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path) as one:
        yield one


@contextmanager
def telling(folder: Path, **options: Any) -> Iterator[Told]:
    one = Told(folder, **options)
    try:
        yield one
    finally:
        one.outbox.stop(2)
        one.ledger.close()


@pytest.fixture
def kit() -> SimpleNamespace:
    """The parts above, for files that cannot import from here."""
    return SimpleNamespace(
        status=status,
        in_turn=in_turn,
        hanging=hanging,
        dripping=dripping,
        note=note,
        telling=telling,
        Told=Told,
        Provider=Provider,
    )
