"""From a name to the addresses that may be called, within a deadline."""

from __future__ import annotations

import queue
import socket
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

from pitstop.egress.addresses import host_name
from pitstop.model.errors import EgressError, EgressRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.egress.addresses import Address, Allowed

_AT_ONCE = 32  # questions to name servers that may hang: the system's resolver has no deadline of its own
_SLOTS = threading.BoundedSemaphore(_AT_ONCE)


class Resolver(Protocol):
    """Every address of a host, as text, best first. Raises OSError."""

    def __call__(self, host: str, port: int) -> Sequence[str]:
        """Ask."""
        ...


def system_resolver(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolved(host: str, port: int, allowed: Allowed, resolver: Resolver, timeout_s: float) -> list[Address]:
    """The addresses of `host` to try in this order, each of which may be called.

    One that may not be refuses them all: a name that is public and private at once is an attack or a mistake.
    Raises EgressRefusedError, or EgressError when there is no address or none within `timeout_s`.
    """
    name = host_name(host)
    try:
        literal = ip_address(name)
    except ValueError:
        found = [ip_address(text.partition("%")[0]) for text in _asked(name, port, resolver, timeout_s)]
    else:
        found = [literal]
    if not found:
        raise EgressError(f"{name} has no address")
    for address in found:
        allowed.judge(name, address, port)
    return found


def _asked(name: str, port: int, resolver: Resolver, timeout_s: float) -> Sequence[str]:
    answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(name, port))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))
        finally:
            _SLOTS.release()

    if not _SLOTS.acquire(blocking=False):
        raise EgressError(f"{name} was not looked up: {_AT_ONCE} questions to name servers are unanswered")
    try:
        threading.Thread(target=ask, name="pitstop-resolver", daemon=True).start()
    except RuntimeError as error:  # no thread can be had
        _SLOTS.release()
        raise EgressError(f"{name} was not looked up: {error}") from error
    try:
        answer = answers.get(timeout=max(timeout_s, 0.001))
    except queue.Empty:
        raise EgressError(f"no name server told the address of {name} within {timeout_s:.3g} s") from None
    if isinstance(answer, EgressRefusedError):
        raise answer
    if isinstance(answer, OSError):
        raise EgressError(f"{name} has no address: {answer.strerror or answer}") from answer
    return answer
