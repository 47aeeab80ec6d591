"""A closer look at a running process, on request: ``pitstop profile --pid 4711 --seconds 10``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pitstop.model.columns import Profiles
from pitstop.model.errors import PitstopError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pitstop.record.asks import Answer
    from pitstop.record.tally import Tally

LONGEST_S = 300.0
FASTEST_HZ = 1000.0
DEFAULT_HZ = 200.0


def answering(
    burst: Callable[[float, float], Tally], finish: Callable[[], None], sleep: Callable[[float], None]
) -> Answer:
    """Answers ``{"seconds": …, "hz": …}`` with the columns of `Profiles`.

    `burst` starts sampling for (seconds, per second) and returns what collects it; `finish` ends it; one at a time.
    """
    running: list[None] = []

    def answer(arguments: Mapping[str, Any]) -> object:
        seconds = min(max(float(arguments["seconds"]), 0.1), LONGEST_S)
        rate_hz = min(max(float(arguments["hz"]), 1.0), FASTEST_HZ)
        if running:
            raise PitstopError("it is being looked at already; ask again when that is over")
        running.append(None)
        try:
            tally = burst(seconds, rate_hz)
            sleep(seconds)
            finish()
        finally:
            running.clear()
        rows = tally.take(time.time(), final=True)
        return {column: list(getattr(rows, column)) for column in Profiles.__slots__}

    return answer


def sampled(answer: Mapping[str, list[Any]]) -> Profiles:
    """The answer of a process as it was."""
    out = Profiles()
    for column in Profiles.__slots__:
        setattr(out, column, answer[column])
    return out
