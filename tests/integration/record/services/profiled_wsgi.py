"""A lock that every request needs and one holds for long: a convoy."""

from __future__ import annotations

import threading
import time

from flask import Flask

app = Flask(__name__)
turnstile = threading.Lock()


def pass_turnstile() -> None:
    with turnstile:
        time.sleep(0.1)


def compute(seconds: float) -> int:
    end, n = time.thread_time() + seconds, 0
    while time.thread_time() < end:
        n += sum(range(500))
    return n


@app.get("/convoy")
def convoy() -> str:
    pass_turnstile()
    return "through"


@app.get("/computing")
def computing() -> str:
    compute(0.3)
    return "computed"
