"""What parts of a process say of themselves beside times and gauges: how a cache stands, a plan, what was advised.

A report is a small JSON document of some `kind` and `name`; the newest of each worker is kept. Reporters are asked by
the flusher's thread every `EVERY_S` and at its end, one-off reports wait until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

EVERY_S = 15.0
MOST_WAITING = 256  # one-off reports of different names that wait for the flusher
MOST_BYTES = 65_536  # of one as JSON; a larger one is dropped and counted


class Report(NamedTuple):
    """`body` is whatever JSON knows; never values of the host's data: keys only as hashes, statements as patterns."""

    kind: str
    name: str
    body: Mapping[str, object]


_reporters: list[Callable[[], Iterable[Report]]] = []
_waiting: dict[tuple[str, str], Mapping[str, object]] = {}


def report(kind: str, name: str, body: Mapping[str, object]) -> None:
    """Keep this; it replaces an older one of the same kind and name. Nothing when recording is off."""
    if RECORDER.on and ((kind, name) in _waiting or len(_waiting) < MOST_WAITING):
        _waiting[kind, name] = body
        if len(_waiting) == 1 and RECORDER.nudge is not None:
            RECORDER.nudge(False)


def add_reporter(reporter: Callable[[], Iterable[Report]]) -> None:
    """Ask `reporter` from now on, in the flusher's thread; what it raises is logged and costs only its own reports."""
    if reporter not in _reporters:
        _reporters.append(reporter)


def remove_reporter(reporter: Callable[[], Iterable[Report]]) -> None:
    """Ask it no more."""
    if reporter in _reporters:
        _reporters.remove(reporter)


def take(complain: Callable[[str], None], *, everything: bool) -> list[Report]:
    """One-off reports that wait; with `everything` those of all reporters, too. For the flusher."""
    found: list[Report] = []
    while _waiting:
        (kind, name), body = _waiting.popitem()
        found.append(Report(kind, name, body))
    for reporter in list(_reporters) if everything else ():
        try:
            found += reporter()
        except Exception as error:  # noqa: BLE001  one part must not cost the others
            complain(f"a report failed: {error!r}")
    return found


def reset_after_fork() -> None:
    """What waits is the parent's; reporters stay, their parts live on in the child."""
    _waiting.clear()
