"""Work that is handed to a queue and run elsewhere: the publishing, the waiting and the running, as one trace.

Whoever enqueues files `publish <task>` and sends two fields along: the ``traceparent`` that names it, and when. Whoever
runs it is a root of kind `task`, whose caller that is. The times are of two clocks, so a wait below zero or above a
week is not believed and not filed.
"""

from __future__ import annotations

from time import perf_counter_ns, time
from typing import TYPE_CHECKING

from pitstop.instrument.live import fault
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.propagation import NONE
from pitstop.model.series import QUEUE, TASK
from pitstop.record.caller import line_attrs
from pitstop.record.failure import failure_of
from pitstop.record.leaf import leaf
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.timing import Span

if TYPE_CHECKING:
    from collections.abc import MutableMapping

OK, ERROR, RETRY = "ok", "error", "retry"
TRACEPARENT = "traceparent"
SENT = "pitstop_sent_s"  # wall time, seconds
WAITED = "waited"
LONGEST_WAIT_S = 7 * 86_400.0
_LONGEST_NAME = 200  # characters: names come from code, but a client may publish any

now_ns = perf_counter_ns


def send_along(fields: MutableMapping[str, object], start_ns: int) -> None:
    """Put what the running side needs into `fields` of a message whose publishing began at `start_ns`.

    A ``traceparent`` of the host's own stays; one that a retried task brought with it is replaced.
    """
    if not RECORDER.on:
        return
    try:
        op = get_current()
        if op is not None and NONE not in OPTIONS.propagate and (TRACEPARENT not in fields or SENT in fields):
            root = op.root or op
            if root.kind:
                fields[TRACEPARENT] = f"00-{root.trace_id}-{start_ns:016x}-{'01' if root.weight else '00'}"
        fields[SENT] = time()
    except Exception:  # noqa: BLE001  the host goes on
        fault("tasks.send_along")


def only_moved(fields: MutableMapping[str, object]) -> bool:
    """Whether a worker moves a message on that was published before: it is due from now on, and published once."""
    if SENT not in fields or get_current() is not None:
        return False
    fields[SENT] = time()
    return True


def published(task: str, start_ns: int, *, failed: bool = False) -> None:
    """File that `task` was handed to its queue, or could not be."""
    if RECORDER.on:
        name = f"publish {task[:_LONGEST_NAME]}"
        leaf(QUEUE, name, ERROR if failed else OK, start_ns, now_ns(), 0, line_attrs())


def begin(task: str, traceparent: object, sent_s: object) -> Span | None:
    """`task` runs from here on, in this thread, until `end`. `sent_s` is the wall time from which it waited."""
    if not RECORDER.on:
        return None
    try:
        span = Span(task[:_LONGEST_NAME])
        span.kind = TASK
        if isinstance(traceparent, str):
            span.traceparent = traceparent.encode("latin-1", "replace")
        span.__enter__()
        if isinstance(sent_s, (int, float)):
            waited_s = time() - sent_s
            if 0 <= waited_s <= LONGEST_WAIT_S:
                leaf(QUEUE, WAITED, OK, span.start_ns - int(waited_s * 1e9), span.start_ns)
    except Exception:  # noqa: BLE001
        fault("tasks.begin")
        return None
    return span


def end(span: Span | None, outcome: str, error: BaseException | None = None) -> None:
    """The task of `span` has ended, with `error` where it failed."""
    if span is None:
        return
    try:
        span.outcome = outcome
        if error is not None and outcome == ERROR:
            span.failure = failure_of(error)
        span.__exit__(None, None, None)
    except Exception:  # noqa: BLE001
        fault("tasks.end")
