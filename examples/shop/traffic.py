"""People in the shop: an open-loop load of bounded rate and length, with days and favourites.

Arrivals are a Poisson process whose rate follows the hours of a (shortened) day; they are scheduled whether or not the
shop keeps up, as people are. What cannot be sent because all connections are busy is counted as skipped, never hidden.
Products follow Zipf's law. `--counts FILE` writes what was answered, by route and status, to compare with a recording.

    python examples/shop/traffic.py http://127.0.0.1:8000 --seconds 60 --rate 20
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import queue
import random
import signal
import sys
import threading
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

PRODUCTS = 4000
CUSTOMERS = 600
CONNECTIONS = 16
WAITING = 64  # scheduled requests that may wait for a free connection
MOST_PER_S = 200.0
LONGEST_S = 24 * 3600
REQUESTS_A_CONNECTION = 50  # then a new one, so that all workers get their share
TIMEOUT_S = 30.0
WORDS = ("box", "blue", "tea", "wool", "organic", "house", "fresh", "bottle", "years", "paper", "small", "wine")
SHELVES = ("coffee", "tea", "bread", "cheese", "fruit", "garden", "kitchen", "paper", "tools", "toys", "wool", "wine")


class Ask(NamedTuple):
    """One request: what is sent, and the route it should be filed under."""

    method: str
    path: str
    route: str
    body: dict[str, object] | None = None


class Visitor:
    """Makes up requests. `random_` decides everything, so equal seeds give equal requests."""

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._popularity = list(accumulate(1 / rank for rank in range(1, PRODUCTS + 1)))
        self._kinds, weights = zip(*self._mix(), strict=True)
        self._weights = list(accumulate(weights))

    def ask(self) -> list[Ask]:
        """What the next visitor wants: one request, or a cart filled and paid."""
        kind = self._random.choices(self._kinds, cum_weights=self._weights)[0]
        return kind if isinstance(kind, list) else self._filled(kind)

    def _mix(self) -> list[tuple[str | list[Ask], float]]:
        return [
            ([Ask("GET", "/", "GET /")], 18),
            ([Ask("GET", "/menu", "GET /menu")], 12),
            ([Ask("GET", "/start", "GET /start")], 6),
            ([Ask("GET", "/static/shop.css", "(static)")], 6),
            ([Ask("GET", "/healthz", "GET /healthz")], 5),
            ([Ask("GET", "/wp-login.php", "(unmatched)")], 0.5),
            ([Ask("GET", "/export/sales.csv", "GET /export/sales.csv")], 0.5),
            ("category", 9),
            ("product", 22),
            ("gone", 1),
            ("search", 8),
            ("recommendations", 5),
            ("shipping", 4),
            ("login", 2),
            ("orders", 3),
            ("buy", 3),
            ("watch", 1),
        ]

    def _filled(self, kind: str) -> list[Ask]:
        product = 1 + self._random.choices(range(PRODUCTS), cum_weights=self._popularity)[0]
        customer = self._random.randint(1, CUSTOMERS)
        product_route, customer_route = "/products/{product_id}", "/customers/{customer_id}"
        if kind == "buy":
            cart = f"/customers/{customer}/cart"
            lines: list[dict[str, object]] = [
                {"product_id": 1 + self._random.randrange(PRODUCTS), "quantity": self._random.randint(1, 3)}
                for _ in range(self._random.randint(1, 8))
            ]
            return [
                *(Ask("POST", cart, f"POST {customer_route}/cart", line) for line in lines),
                Ask("POST", f"/customers/{customer}/checkout", f"POST {customer_route}/checkout"),
            ]
        if kind == "login":
            body: dict[str, object] = {"email": f"customer{customer}@example.org", "password": "letmein"}
            return [Ask("POST", "/login", "POST /login", body)]
        paths = {
            "category": (f"/categories/{self._random.choice(SHELVES)}", "/categories/{slug}"),
            "product": (f"/products/{product}", product_route),
            "gone": (f"/products/{product + 100_000}", product_route),
            "search": (f"/search?q={quote(self._random.choice(WORDS))}", "/search"),
            "recommendations": (f"/products/{product}/recommendations", f"{product_route}/recommendations"),
            "shipping": (f"/products/{product}/shipping?country=PT", f"{product_route}/shipping"),
            "orders": (f"/customers/{customer}/orders", f"{customer_route}/orders"),
            "watch": (f"/orders/{self._random.randint(1, 8000)}/status", "/orders/{order_id}/status"),
        }
        path, route = paths[kind]
        method = "WS" if kind == "watch" else "GET"
        return [Ask(method, path, f"{method} {route}")]


class Traffic:
    """Sends what visitors want to `url` until `stop`. `counts` is what was answered: (route, status) → how often."""

    def __init__(self, url: str) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failed = 0
        self.skipped = 0
        self.worst_lag_s = 0.0
        self._address = urlsplit(url).netloc
        self._waiting: queue.Queue[tuple[float, list[Ask]] | None] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._serve) for _ in range(CONNECTIONS)]

    def run(self, seconds: float, rate_per_s: float, day_s: float, visitors: Visitor, random_: random.Random) -> None:
        """Send for `seconds` or until `stop`, then wait for the answers that are under way."""
        for thread in self._threads:
            thread.start()
        started_s = due_s = time.monotonic()
        while not self._over.is_set():
            due_s += random_.expovariate(rate_per_s * of_day((due_s - started_s) / day_s))
            if due_s - started_s >= seconds:
                self._over.wait(max(0.0, started_s + seconds - time.monotonic()))
                break
            if self._over.wait(max(0.0, due_s - time.monotonic())):
                break
            try:
                self._waiting.put_nowait((due_s, visitors.ask()))
            except queue.Full:
                self.skipped += 1
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Send nothing new. May be called from a signal handler."""
        self._over.set()

    def _serve(self) -> None:
        connection: http.client.HTTPConnection | None = None
        used = 0
        while (job := self._waiting.get()) is not None:
            due_s, asks = job
            with self._lock:
                self.worst_lag_s = max(self.worst_lag_s, time.monotonic() - due_s)
            for ask in asks:
                if connection is None or used >= REQUESTS_A_CONNECTION:
                    if connection is not None:
                        connection.close()
                    connection, used = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S), 0
                used += 1
                try:
                    status = self._watch(ask) if ask.method == "WS" else _send(connection, ask)
                except (OSError, http.client.HTTPException, WebSocketException):
                    connection.close()
                    connection = None
                    with self._lock:
                        self.failed += 1
                    break
                with self._lock:
                    self.counts[ask.route, status] += 1
        if connection is not None:
            connection.close()

    def _watch(self, ask: Ask) -> str:
        with connect(f"ws://{self._address}{ask.path}", open_timeout=TIMEOUT_S) as socket:
            for _ in socket:
                pass
            return str(socket.protocol.close_code)


def _send(connection: http.client.HTTPConnection, ask: Ask) -> str:
    headers = {"Content-Type": "application/json"} if ask.body is not None else {}
    connection.request(ask.method, ask.path, json.dumps(ask.body) if ask.body is not None else None, headers)
    with connection.getresponse() as response:
        response.read()
    if response.status >= http.client.INTERNAL_SERVER_ERROR:
        connection.close()  # servers hang up after an exception, and do not always say so
    return str(response.status)


def of_day(days: float) -> float:
    """Share of the usual rate `days` after nine in the morning: hills at noon and in the evening, quiet at night."""
    hour = (9 + days * 24) % 24
    return 0.35 + 0.75 * math.exp(-(((hour - 12) / 3) ** 2)) + 1.0 * math.exp(-(((hour - 19.5) / 2.2) ** 2))


def main() -> int:
    """Send, print what was answered, and write it down when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where the shop is")
    parser.add_argument("--seconds", type=float, default=LONGEST_S, help="how long to send, at most a day")
    parser.add_argument("--rate", type=float, default=12.0, help=f"usual visitors per second, at most {MOST_PER_S:.0f}")
    parser.add_argument("--day", type=float, default=900.0, help="seconds that a day takes")
    parser.add_argument("--seed", type=int, default=1, help="what the visits are made up from")
    parser.add_argument("--counts", type=Path, help="write what was answered, by route and status, to this JSON file")
    options = parser.parse_args()
    random_ = random.Random(options.seed)
    traffic = Traffic(options.url)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: traffic.stop())
    rate_per_s = min(max(options.rate, 0.01), MOST_PER_S)
    traffic.run(min(options.seconds, LONGEST_S), rate_per_s, max(options.day, 1.0), Visitor(random_), random_)
    by_route: dict[str, dict[str, int]] = {}
    for (route, status), n in sorted(traffic.counts.items()):
        by_route.setdefault(route, {})[status] = n
    if options.counts:
        result = {"answered": by_route, "failed": traffic.failed, "skipped": traffic.skipped}
        options.counts.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(
        f"{traffic.counts.total()} answered, {traffic.failed} failed, {traffic.skipped} skipped; "
        f"the latest was sent {traffic.worst_lag_s * 1000:.0f} ms after its time\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
