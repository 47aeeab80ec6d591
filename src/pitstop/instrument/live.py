"""What runs at this moment in this process, and faults of our own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pitstop.record.failure import failure_of
from pitstop.record.operation import CURRENT, Operation

if TYPE_CHECKING:
    from pitstop.record.recorder import Recorder

FLUSH_S = 2.0  # what the end of a server may be held

MARK = "pitstop.operation"  # PEP 3333 wants a dot in keys of others
"""Key in an ASGI scope or WSGI environ: this request is being recorded, further in it is not recorded again."""

FAILED = 500  # status codes from here on are the server's fault

IN_FLIGHT: set[Operation] = set()
"""Requests and websocket connections that have begun and not ended. Adding and discarding are atomic."""


class Served(Operation):
    """A request that somebody else's instrumentation has begun further out; it gives way to the one of ours inside."""

    request: Operation | None = None

    def give_way(self, request: Operation) -> None:
        """`request` is the same one, seen by our middleware."""
        self.request = request
        request.known_trace_id = self.known_trace_id


ATTACHED: set[str] = set()
"""Integrations that record in this process."""

NAMED: set[str] = set()
"""What the setting ``instrument`` names, ``auto`` among it."""

_faults: dict[str, int] = {}


def fault(where: str) -> None:
    """Note that our own code failed in `where` and the host went on; the first of each place is logged."""
    _faults[where] = _faults.get(where, 0) + 1
    if _faults[where] == 1:
        import logging  # noqa: PLC0415  only when something is wrong

        cause = sys.exc_info()[1]
        logging.getLogger("pitstop").warning("pitstop: a fault of ours in %s, the request went on: %r", where, cause)


def note_failure(op: Operation, error: BaseException | None) -> None:
    """`op` fails by `error`; the first that is noted counts."""
    if error is None or op.failure is not None:
        return
    try:
        op.failure = failure_of(error)
    except Exception:  # noqa: BLE001  the host goes on
        fault("failure")


def note_raised(error: BaseException) -> None:
    """A framework handles `error` for the running request: its failure, should the answer be one."""
    op = CURRENT.get()
    if op is not None:
        op = op.root or op
        if not op.end_ns:
            op.raised = error


def faults() -> dict[str, int]:
    """How often our own code failed, by place."""
    return dict(_faults)


def reset_after_fork() -> None:
    """In a child nothing runs yet."""
    IN_FLIGHT.clear()


def flush_at_end(recorder: Recorder) -> None:
    """Write what waits, for at most two seconds: the server ends."""
    if recorder.on and recorder.flush is not None:
        try:
            recorder.flush(FLUSH_S)
        except Exception:  # noqa: BLE001  the server's end must not fail
            fault("flush_at_end")
