"""The demo's visitors: always the same ones, a few favourites, never more than can be sent, and none hidden."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter

import pytest

from shop.traffic import CONNECTIONS, WAITING, Traffic, Visitor, of_day


def test_equal_seeds_make_equal_visits() -> None:
    one, other = (Visitor(random.Random(5)) for _ in range(2))

    assert [one.ask() for _ in range(200)] == [other.ask() for _ in range(200)]


def test_a_few_products_get_most_of_the_visits() -> None:
    visitor = Visitor(random.Random(5))
    looks = Counter(
        ask.path
        for _ in range(20_000)
        for ask in visitor.ask()
        if ask.route == "GET /products/{product_id}" and len(ask.path) < len("/products/100000")
    )

    assert looks.most_common(1)[0][0] == "/products/1"
    top = sum(n for _, n in looks.most_common(40))
    assert 0.4 < top / looks.total() < 0.6  # Zipf with exponent 1: H(40) / H(4000) = 0.48


def test_a_purchase_fills_the_cart_before_it_is_paid() -> None:
    visitor = Visitor(random.Random(5))
    bought = next(asks for asks in iter(visitor.ask, None) if len(asks) > 1)

    assert {ask.path for ask in bought[:-1]} == {bought[-1].path.replace("checkout", "cart")}
    assert bought[-1].route == "POST /customers/{customer_id}/checkout"


@pytest.mark.parametrize(("hour", "share"), [(3, 0.35), (12, 1.1), (19.5, 1.35)])
def test_a_day_has_a_night_and_two_hills(hour: float, share: float) -> None:
    assert of_day((hour - 9) / 24) == pytest.approx(share, abs=0.06)


def test_visits_that_a_stuck_shop_keeps_waiting_are_counted_as_skipped() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as stuck:  # accepts and never answers
        traffic = Traffic(f"http://127.0.0.1:{stuck.getsockname()[1]}")
        random_ = random.Random(1)
        sender = threading.Thread(
            target=traffic.run, args=(60.0, 2000.0, 3600.0, Visitor(random_), random_), daemon=True
        )
        sender.start()
        deadline_s = time.monotonic() + 20
        while traffic.skipped < CONNECTIONS + WAITING and time.monotonic() < deadline_s:
            time.sleep(0.01)
        traffic.stop()

    assert traffic.skipped >= CONNECTIONS + WAITING
    sender.join(30)
    assert not sender.is_alive()
    assert traffic.counts.total() == 0
