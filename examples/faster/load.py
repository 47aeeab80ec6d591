"""The same requests for every step: so many, in the same order, by a few clients at once, each with a connection."""

from __future__ import annotations

import http.client
import random
import threading
from typing import NamedTuple

CUSTOMERS = 16  # of those who are asked for; a few of them most of the time
WRITE_EVERY = 50  # requests: somebody buys something
CLIENTS = 4
TIMEOUT_S = 60.0


class Request(NamedTuple):
    """One request."""

    method: str
    path: str


def requests(number: int, seed: int = 11) -> list[Request]:
    """`number` requests; how often a customer is asked for falls with their rank, as it does in shops (Zipf)."""
    rng = random.Random(seed)
    ranks = range(1, CUSTOMERS + 1)
    asked = rng.choices(ranks, [1 / rank for rank in ranks], k=number)
    return [
        Request("POST", f"/customers/{customer}/orders")
        if i % WRITE_EVERY == WRITE_EVERY - 1
        else Request("GET", f"/customers/{customer}/overview")
        for i, customer in enumerate(asked)
    ]


def buyers(wanted: list[Request]) -> tuple[int, ...]:
    """Customers who buy something in `wanted`."""
    return tuple(sorted({int(request.path.split("/")[2]) for request in wanted if request.method == "POST"}))


def every_page() -> list[Request]:
    """Each page once, before anything is measured."""
    return [Request("GET", f"/customers/{customer}/overview") for customer in range(1, CUSTOMERS + 1)]


def send(port: int, wanted: list[Request]) -> list[int]:
    """Send them all; the status of each, in any order. Raises OSError where the service is gone."""
    waiting, statuses, lock = iter(wanted), list[int](), threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        while True:
            with lock:
                request = next(waiting, None)
            if request is None:
                connection.close()
                return
            connection.request(*request, headers={"Content-Length": "0"} if request.method == "POST" else {})
            with connection.getresponse() as response:
                response.read()
                with lock:
                    statuses.append(response.status)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return statuses


def page(port: int, customer: int) -> bytes:
    """One page as it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("GET", f"/customers/{customer}/overview")
    with connection.getresponse() as response:
        body = response.read()
    connection.close()
    return body
