"""What an outbox asks of whoever can send, and how it hears that it came to nothing."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

from pitstop.model import EgressRefusedError, PitstopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.egress import Answer, Client
    from pitstop.model.watching import Notification

MOST_RETRY_AFTER_S = 3600.0
_FINAL = frozenset({400, 405, 410, 411, 413, 414, 415, 421, 422, 431, 501, 505})  # the same request fails again


class SendError(PitstopError, RuntimeError):
    """It was not taken. `final`: trying again is of no use; `retry_after_s`: not before so many seconds are over.

    The words are our own, never the provider's or a library's: those repeat addresses, and addresses have tokens.
    """

    def __init__(self, problem: str, *, final: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(problem)
        self.final = final
        self.retry_after_s = retry_after_s


class Sender(Protocol):
    """Sends to one channel, from one thread at a time."""

    def send(self, notification: Notification, delivery: str, timeout_s: float) -> None:
        """Send, within `timeout_s` altogether. `delivery` is the same each time it is tried. Raises SendError."""
        ...

    def close(self) -> None:
        """Let go of what is held, and of a `send` that is under way in another thread; safe to call twice."""
        ...


def posted(client: Client, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
    """POST and judge the answer. Raises SendError for everything but 2xx, in words that do not name the address."""
    try:
        answer = client.request("POST", url, headers=headers, body=body, timeout_s=timeout_s, most_bytes=4096)
    except EgressRefusedError as error:
        raise SendError(str(error), final=True) from None
    except ConnectionError as error:
        raise SendError(str(error)) from None
    judge(answer.status, answer.headers.get("retry-after"))
    return answer


def judge(status: int, retry_after: str | None = None) -> None:
    """Raise SendError unless `status` is a 2xx."""
    if 200 <= status < 300:  # noqa: PLR2004  RFC 9110, 15.3: successful
        return
    if 300 <= status < 400:  # noqa: PLR2004  RFC 9110, 15.4: redirection
        raise SendError(f"it answered {status}, a redirect, and redirects are not followed", final=True)
    raise SendError(
        f"it answered {status}", final=status in _FINAL, retry_after_s=retry_after_s(retry_after, time.time())
    )


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3); at most an hour, None when absurd."""
    if value is None or len(value) > 64:  # noqa: PLR2004  longer than any date
        return None
    try:
        wait_s = float(value) if value.strip()[:1].isdigit() else parsedate_to_datetime(value).timestamp() - now_s
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), MOST_RETRY_AFTER_S) if math.isfinite(wait_s) else None
