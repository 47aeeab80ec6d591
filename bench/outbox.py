"""What handing over an alert costs its caller while every provider hangs, fails or drips, and when the fourth is told.

Run: ``python bench/outbox.py``. Real HTTP servers on loopback: one webhook hangs, one answers 500, one drips a byte now
and then; a mail server takes connections and says nothing; a webhook and a real mail server work. µs of the caller's
wall time, with the outbox at work in the same process.
"""

from __future__ import annotations

import logging
import math
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller

from pitstop.model.watching import FIRING, PAGE, Notification
from pitstop.watch.ledger import Ledger
from pitstop.watch.outbox import Outbox
from pitstop.watch.roster import Channels
from pitstop.watch.secrets import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

HAND_OVERS = 400
PUTS = 100
BUDGET_US = 50
FOURTH_S = 1.0


def serve(answer: Callable[[BaseHTTPRequestHandler], None]) -> int:
    """A server on a free port that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with suppress(OSError):
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def hang(_: BaseHTTPRequestHandler) -> None:
    """Say nothing."""
    time.sleep(3600)


def fail(handler: BaseHTTPRequestHandler) -> None:
    """Say that it failed."""
    handler.send_response(500)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Say something now and then, without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
    while True:
        handler.wfile.write(b".")
        time.sleep(0.1)


def notification(number: int) -> Notification:
    """One as rules make them."""
    return Notification(
        f"key{number}", FIRING, PAGE, "checkout is slow", "P95 of POST /checkout is 1.2 s",
        {"rule": "checkout is slow", "service": "shop", "severity": "page"}, time.time(),
        value=1.2, limit=0.5, unit="s", points=[(1_790_000_000 + 60 * i, i / 60) for i in range(60)],
    )  # fmt: skip


class Bench:
    """An outbox with four channels that do not work and one that does."""

    def __init__(self, folder: Path) -> None:
        self.arrived: list[float] = []
        self.ledger = Ledger(folder / "watch.db")
        channels = Channels(self.ledger, Vault())
        for name, answer in (("hangs", hang), ("fails", fail), ("drips", drip), ("takes", self._take)):
            options = {"per_minute": 6000, "timeout": "2s"}
            channels.save(name, "webhook", f"http://localhost:{serve(answer)}/", options, "bench")
        self._silent = socket.create_server(("127.0.0.1", 0))
        mail = f"mailto://localhost:{self._silent.getsockname()[1]}?from=a@b.example&to=c@d.example"
        channels.save("mail says nothing", "apprise", mail, {"timeout": "2s"}, "bench")
        self.mailed: list[float] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=_free_port())
        self._controller.start()
        mail = f"mailto://localhost:{self._controller.port}?from=a@b.example&to=c@d.example"
        channels.save("mail works", "apprise", mail, {"per_minute": 6000}, "bench")
        self.outbox = Outbox(self.ledger, channels, egress_allow=["localhost"])
        self.outbox.start()

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802  aiosmtpd's name
        """A mail came."""
        self.mailed.append(time.perf_counter())
        return "250 ok"

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        self.arrived.append(time.perf_counter())
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def told_s(self) -> tuple[float, float]:
        """From handing over until the webhook that works, and the mail server, have it."""
        self.arrived.clear()
        self.mailed.clear()
        began = time.perf_counter()
        self.outbox.hand_over(notification(0))
        while not (self.arrived and self.mailed) and time.perf_counter() - began < 10:
            time.sleep(0.001)
        return (self.arrived or [math.inf])[0] - began, (self.mailed or [math.inf])[0] - began

    def one_by_one_us(self) -> list[float]:
        """As alerts come, each waking the outbox."""
        taken = []
        for number in range(1, HAND_OVERS + 1):
            note = notification(number)
            before = time.perf_counter_ns()
            self.outbox.hand_over(note)
            taken.append((time.perf_counter_ns() - before) / 1000)
            time.sleep(0.002)
        return sorted(taken)

    def burst_us(self) -> float:
        """All at once, the mean."""
        notes = [notification(number) for number in range(HAND_OVERS)]
        before = time.perf_counter_ns()
        for note in notes:
            self.outbox.hand_over(note)
        return (time.perf_counter_ns() - before) / 1000 / HAND_OVERS

    def locked_us(self) -> float:
        """While another process has locked the ledger, the mean."""
        other = sqlite3.connect(self.ledger.path or "", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        taken = self.burst_us()
        other.execute("ROLLBACK")
        other.close()
        return taken

    def put_us(self) -> float:
        """Within a transaction of the caller's, the median."""
        taken = []
        for number in range(PUTS):
            note = notification(number)
            with self.ledger.write() as db:
                before = time.perf_counter_ns()
                self.outbox.put(db, note)
                taken.append((time.perf_counter_ns() - before) / 1000)
        return statistics.median(taken)

    def stop(self) -> tuple[float, bool, int]:
        """Seconds, whether all was kept, and how many deliveries are in the ledger."""
        began = time.perf_counter()
        kept = self.outbox.stop(5)
        took_s = time.perf_counter() - began
        with self.ledger.read() as db:
            return took_s, kept, db.execute("SELECT count(*) FROM outbox").fetchone()[0]


def main() -> None:
    """Print the table; exit code 1 above the budget."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        fourth_s, cold_s = bench.told_s()
        time.sleep(1)  # all are busy with their providers now
        again_s, warm_s = bench.told_s()
        taken, burst_us, put_us, locked_us = bench.one_by_one_us(), bench.burst_us(), bench.put_us(), bench.locked_us()
        stopped_s, kept, rows = bench.stop()
    median, p99, wanted = statistics.median(taken), taken[int(len(taken) * 0.99)], 6 * (2 + 3 * HAND_OVERS + PUTS)
    print("with a provider that hangs, one that fails, one that drips and a mail server that says nothing:")
    print(f"hand over, one by one   median {median:.1f} µs, P99 {p99:.1f} µs (budget {BUDGET_US})")
    print(f"hand over, in a burst   {burst_us:.1f} µs each; {bench.outbox.dropped} dropped")
    print(f"hand over, ledger lock  {locked_us:.1f} µs each")
    print(f"put in a transaction    median {put_us:.0f} µs for six channels")
    print(
        f"the webhook that works  told after {fourth_s * 1000:.0f} and {again_s * 1000:.0f} ms "
        f"(budget {FOURTH_S * 1000:.0f})"
    )
    print(
        f"the mail that works     told after {cold_s * 1000:.0f} ms by a new process, "
        f"{warm_s * 1000:.0f} ms by the same one again"
    )
    print(f"stop                    {stopped_s:.2f} s (budget 5), {rows} of {wanted} deliveries kept, all: {kept}")
    sys.exit(0 if median <= BUDGET_US and max(fourth_s, again_s, warm_s) <= FOURTH_S and kept and rows == wanted else 1)


if __name__ == "__main__":
    main()
