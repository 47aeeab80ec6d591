"""One timed thing, and the one that is running now."""

from __future__ import annotations

import os
from contextvars import ContextVar
from time import perf_counter_ns
from typing import TYPE_CHECKING

from pitstop.model.series import TASK
from pitstop.model.traceparent import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.model.record import Caller, ChildFields
    from pitstop.model.trace import Failure


class Operation:
    """A request, query, call or function while it runs; what is kept of it then is a `pitstop.model.record.Record`.

    `kind`, `name`, `outcome` and `tenant` are as in `pitstop.model.series.Series`; `start_ns` and `end_ns` are
    monotonic; `end_ns` is 0 while it runs. `root` is the operation everything below belongs to (None for a root),
    `children` what has ended below a root, as fields of `Child`. `weight` is how many operations it stands for.

    Fields that few operations set are defaults of the class, not slots: creating one costs half as much. What every
    span asks of its root is set on the instance, where it is found in a third of the time.
    """

    name = ""
    outcome = ""
    tenant = ""
    end_ns = 0
    nbytes = 0
    weight = 1
    root: Operation | None = None
    parent: Operation | None = None
    children: list[ChildFields] | None = None
    attrs: Mapping[str, object] | None = None
    traceparent: bytes | None = None
    host = ""  # what the caller's Host header says, where there is one
    known_trace_id: str | None = None
    background: Operation | None = None
    failure: Failure | None = None
    raised: BaseException | None = None  # what a framework is about to answer for; let go of when the root ends

    start_ns = 0

    def __init__(self, kind: str, start_ns: int) -> None:
        self.kind = kind
        self.start_ns = start_ns
        self.root = None
        self.children = []  # not on demand: two threads below a root must not each make one
        self.end_ns = self.nbytes = 0

    @property
    def duration_ns(self) -> int:
        """How long it took, or has been running, ns."""
        return (self.end_ns or perf_counter_ns()) - self.start_ns

    @property
    def trace_id(self) -> str:
        """32 hex digits: the caller's when its `traceparent` is well formed, else a new one."""
        top = self.root or self
        if top.known_trace_id is None:
            remote = parse(top.traceparent)
            top.known_trace_id = os.urandom(16).hex() if remote is None else remote.trace_id
        return top.known_trace_id

    @property
    def caller(self) -> Caller | None:
        """What is known of the trace this root belongs to; for the few that are worth a look at their headers."""
        traceparent = self.traceparent
        known = self.known_trace_id
        return None if traceparent is None and known is None else (known, traceparent)

    def name_so_far(self) -> str:
        """The name that it is going to have, as far as that is known while it runs; for other threads, never raises."""
        return self.name

    def left_behind(self) -> Operation:
        """The operation of the work that goes on after this one has ended, such as a background task."""
        after = self.background
        if after is None:
            after = Operation(TASK, self.end_ns)
            after.name = f"background {self.name}"
            after.weight = self.weight
            after.tenant = self.tenant
            self.background = after
        return after

    def __repr__(self) -> str:
        return f"Operation({self.kind} {self.name!r:.80} {self.outcome!r:.20} {self.duration_ns / 1e6:.3f} ms)"


CURRENT: ContextVar[Operation | None] = ContextVar("pitstop_current", default=None)
"""The operation that runs in this task or thread."""

get_current = CURRENT.get  # bound once: looking a method up costs as much as calling it
set_current = CURRENT.set
reset_current = CURRENT.reset


def current() -> Operation | None:
    """The operation that runs here, or None outside of one and when recording is off."""
    return get_current()
