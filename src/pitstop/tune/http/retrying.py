"""Whether a call is tried again, when, and with how much time: written once, for sync and async clients.

`exchange` yields what has to be done (`Send`, `Wait`) and is sent what came of it; it does no I/O itself.

Tried again are idempotent methods (RFC 9110, 9.2.2) after a failed exchange or an answer that asks for it, and every
method when no connection came about. Waits grow exponentially with full jitter
(aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter), or are what Retry-After says (RFC 9110, 10.2.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

import httpx

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Generator

    from pitstop.tune.http.hosts import Host

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
NOT_NOW = frozenset({429, 502, 503, 504})  # answers that another try may better
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
SMALL_BYTES = 65_536  # an answer to be dropped is read up to here, so that its connection can be used again
LONGEST_DROP_S = 0.1  # that reading it may take: about what a new connection does, with TLS and across a continent
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Retries:
    """`most` further tries, within `total_s` from the first (each try's own timeouts are cut to what is left of it).

    Where `most` is 0, a call has the time that its own timeouts give it.
    """

    most: int = 2
    total_s: float = 30.0
    statuses: frozenset[int] = NOT_NOW

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.most < 0 or self.total_s <= 0:
            message = f"retries {self.most} within {self.total_s} s: give 0 or more, and more than 0 s"
            raise SettingError(message)


class Send(NamedTuple):
    """Send the request with these timeouts; answer with a response or the `httpx.TransportError`."""

    timeout: dict[str, float | None]


class Wait(NamedTuple):
    """Let go of `dropped`, if it is there, within `drop_s`, then wait."""

    seconds: float
    dropped: httpx.Response | None
    drop_s: float


Outcome = httpx.Response | httpx.TransportError


def exchange(
    request: httpx.Request, retries: Retries, host: Host, clock_s: Callable[[], float], rng: random.Random
) -> Generator[Send | Wait, Outcome | None, httpx.Response]:
    """One call with all its tries; returns the response or raises the last failure."""
    end_s = clock_s() + retries.total_s if retries.most else math.inf
    asked: dict[str, float | None] = request.extensions.get("timeout", {})
    host.budget.earn()
    tries = 0
    while True:
        outcome = yield Send(_cut(asked, max(end_s - clock_s(), 0.001)))
        assert outcome is not None
        wait_s = _wait_s(request, outcome, retries, tries, rng)
        left_s = end_s - clock_s()
        if wait_s is not None and wait_s < left_s:
            if host.budget.spend():
                host.add("retries")
                tries += 1
                dropped = outcome if isinstance(outcome, httpx.Response) else None
                yield Wait(wait_s, dropped, min(LONGEST_DROP_S, left_s - wait_s))
                continue
            host.add("retries_refused")
        if isinstance(outcome, httpx.Response):
            return outcome
        raise outcome


def _cut(timeout: dict[str, float | None], left_s: float) -> dict[str, float | None]:
    if left_s == math.inf:  # which sockets do not take for a timeout
        return dict(timeout)
    return {what: left_s if at is None else min(at, left_s) for what, at in timeout.items()}


def _wait_s(request: httpx.Request, outcome: Outcome, retries: Retries, tries: int, rng: random.Random) -> float | None:
    """How long to wait before the next try, None when there is none."""
    if tries >= retries.most:
        return None
    backoff_s = rng.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**tries))
    if isinstance(outcome, _NOT_SENT):
        return backoff_s
    if request.method not in IDEMPOTENT or not isinstance(request.stream, httpx.ByteStream):
        return None  # it may have been done, or its body is used up
    if not isinstance(outcome, httpx.Response):
        return (
            backoff_s
            if isinstance(outcome, (httpx.TimeoutException, httpx.NetworkError, httpx.ProtocolError))
            else None
        )
    if outcome.status_code not in retries.statuses:
        return None
    after_s = _retry_after_s(outcome)
    return backoff_s if after_s is None else after_s + backoff_s


def _retry_after_s(response: httpx.Response) -> float | None:
    """What the answer asks for; a date counts from the answer's own."""
    asked = response.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        until = parsedate_to_datetime(asked)
        return max(0.0, (until - parsedate_to_datetime(response.headers["date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None
