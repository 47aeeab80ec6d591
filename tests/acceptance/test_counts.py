"""What an outside client sends is what is stored, under several workers."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import Service

UNMATCHED = "(unmatched)"
FASTAPI = ("GET /items/{item_id}", "POST /items", "GET /broken")
FLASK = ("GET /items/<int:item_id>", "POST /items", "GET /broken")
GUNICORN = ("gunicorn", "items_flask:app", "--bind", "127.0.0.1:{port}")
SERVERS = {
    "uvicorn with 4 workers": (FASTAPI, ("uvicorn", "items_fastapi:app", "--port", "{port}", "--workers", "4")),
    "gunicorn with 4 workers": (FLASK, (*GUNICORN, "--workers", "4")),
    "gunicorn with 4 preloaded workers": (FLASK, (*GUNICORN, "--workers", "4", "--preload")),
    "gunicorn with threads": (FLASK, (*GUNICORN, "--workers", "2", "--worker-class", "gthread", "--threads", "4")),
}


def _visits(names: tuple[str, str, str], n: int) -> list[tuple[str, str, str]]:
    made_up = random.Random(7)
    item, add, broken = names
    kinds = [
        lambda: ("GET", f"/items/{made_up.randrange(1000)}", item),
        lambda: ("GET", f"/items/{made_up.randrange(1000, 2000)}", item),
        lambda: ("POST", "/items", add),
        lambda: ("GET", "/broken", broken),
        lambda: ("GET", f"/{made_up.randrange(10**6)}.php", UNMATCHED),
    ]
    return [kind() for kind in made_up.choices(kinds, (60, 8, 20, 4, 8), k=n)]


@pytest.mark.parametrize("server", SERVERS)
def test_every_request_is_stored_once_under_its_route_and_status(serve: Callable[..., Service], server: str) -> None:
    names, command = SERVERS[server]
    service = serve(*command)

    answers = service.ask(_visits(names, 600))

    sent = Counter((answer.name, answer.status) for answer in answers)
    item, add, broken = names
    assert set(sent) == {(item, 200), (item, 404), (add, 201), (broken, 500), (UNMATCHED, 404)}
    if "4" in server:  # threads may leave everything to one process
        assert len({answer.pid for answer in answers} - {0}) > 1, "one worker has answered everything"
    assert service.stored_becomes(sent), f"sent {sent}\nstored {service.stored()}"
    assert service.child.stop(), "the server had to be ended by force"
    assert service.stored() == sent


def test_what_is_recorded_in_the_last_second_is_stored_at_a_clean_stop(serve: Callable[..., Service]) -> None:
    service = serve(*SERVERS["gunicorn with 4 workers"][1])

    sent = Counter((answer.name, answer.status) for answer in service.ask(_visits(FLASK, 80)))
    service.child.stop()

    assert service.stored() == sent


def test_killing_a_worker_loses_at_most_one_flush_of_that_worker(serve: Callable[..., Service]) -> None:
    service = serve(*GUNICORN, "--workers", "2")
    visit = [("GET", "/items/1", FLASK[0])]
    answers = []
    until_s = time.monotonic() + 3.3
    while time.monotonic() < until_s:
        answers += service.ask(visit * 20, threads=2)
    victim = answers[-1].pid

    os.kill(victim, signal.SIGKILL)
    killed_s = time.monotonic()
    survivors = {answer.pid for answer in answers} - {victim}
    while len(survivors) < 2 and time.monotonic() < killed_s + 10:  # until the master has put another in its place
        after = service.ask(visit * 20, threads=1)
        answers += after
        survivors |= {answer.pid for answer in after}
    assert service.child.stop()

    stored = service.stored().total()
    unflushed = sum(answer.pid == victim and answer.at_s > killed_s - 1.5 for answer in answers)
    of_victim = sum(answer.pid == victim for answer in answers)
    assert of_victim > unflushed, "the worker was killed before it had flushed anything"
    assert len(answers) - unflushed <= stored <= len(answers)
