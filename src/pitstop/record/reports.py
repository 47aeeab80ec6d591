"""What parts of a process say of themselves beside times and gauges: how a cache stands, a plan, what was advised.

A report is a small JSON document of some `kind` and `name`; the newest of each worker is kept. Reporters are asked by
the flusher's thread a few times a minute and at its end; one-off reports leave with the next batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MOST_WAITING = 256  # one-off reports of different names that wait for the flusher
MOST_BYTES = 65_536  # of one as JSON; a longer one is left out and said so


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


def tell(kind: str, text: str) -> None:
    """Note an event, one that happened now: `kind` as ``leak``, `text` for people. Nothing when recording is off."""
    if RECORDER.on and RECORDER.event is not None:
        RECORDER.event(kind, text)
        if RECORDER.nudge is not None:
            RECORDER.nudge(False)


def add_reporter(reporter: Callable[[], Iterable[Report]]) -> None:
    """Ask `reporter` from now on, in the flusher's thread; what it raises is logged and costs only its own reports."""
    if reporter not in _reporters:
        _reporters.append(reporter)


def remove_reporter(reporter: Callable[[], Iterable[Report]]) -> None:
    """Ask it no more."""
    if reporter in _reporters:
        _reporters.remove(reporter)


def take(complain: Callable[[str], None], *, everybody: bool) -> list[tuple[str, str, str]]:
    """One-off reports that wait, and with `everybody` those of all reporters, each as kind, name and JSON.

    For the flusher's thread. What cannot be written as JSON or is too long is left out and told to `complain`.
    """
    import json  # noqa: PLC0415  a host that reports nothing should not pay for it

    found = [Report(*key, _waiting.pop(key)) for key in list(_waiting)]
    for reporter in list(_reporters) if everybody else ():
        try:
            found += reporter()
        except Exception as error:  # noqa: BLE001  one part must not cost the others
            complain(f"a report failed: {error!r}")
    out = []
    for kind, name, body in found:
        try:
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            complain(f"the report {kind} {name!r:.80} is no JSON ({error})")
            continue
        if len(text) > MOST_BYTES:
            complain(f"the report {kind} {name!r:.80} of {len(text)} characters is longer than {MOST_BYTES}")
            continue
        out.append((kind, name, text))
    return out


def anything() -> bool:
    """Whether there is anybody to ask."""
    return bool(_reporters or _waiting)


def reset_after_fork() -> None:
    """What waits is the parent's; reporters stay, their parts live on in the child."""
    _waiting.clear()
