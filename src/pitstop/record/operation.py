"""One timed thing, and the one that is running now."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")  # W3C Trace Context, level 1
_TRACEPARENT_BYTES = 55
_NO_TRACE = b"0" * 32


class Operation:
    """A request, query, call or function while it runs, and the record of it afterwards.

    `kind`, `name`, `outcome` and `tenant` are as in `pitstop.model.series.Series`; `start_ns` and `end_ns` are
    monotonic; `end_ns` is 0 while it runs. `root` is the operation everything below belongs to (None for a root),
    `children` what has finished below a root, in the order it finished. `weight` is how many operations it stands for.

    Fields that few operations set are defaults of the class, not slots: creating one costs half as much.
    """

    name = ""
    outcome = ""
    tenant = ""
    end_ns = 0
    nbytes = 0
    weight = 1
    root: Operation | None = None
    parent: Operation | None = None
    children: list[Operation] | None = None
    attrs: Mapping[str, object] | None = None
    traceparent: bytes | None = None
    known_trace_id: str | None = None

    def __init__(self, kind: str, start_ns: int) -> None:
        self.kind = kind
        self.start_ns = start_ns

    @property
    def duration_ns(self) -> int:
        """How long it took, or has been running, ns."""
        return (self.end_ns or perf_counter_ns()) - self.start_ns

    @property
    def trace_id(self) -> str:
        """32 hex digits: the caller's when its `traceparent` is well formed, else a new one."""
        top = self.root or self
        if top.known_trace_id is None:
            top.known_trace_id = _trace_id_of(top.traceparent) or secrets.token_hex(16)
        return top.known_trace_id

    def __repr__(self) -> str:
        return f"Operation({self.kind} {self.name!r:.80} {self.outcome!r:.20} {self.duration_ns / 1e6:.3f} ms)"


def _trace_id_of(traceparent: bytes | None) -> str | None:
    if traceparent is None or len(traceparent) < _TRACEPARENT_BYTES or traceparent[:2] == b"ff":
        return None
    found = _TRACEPARENT.match(traceparent[:_TRACEPARENT_BYTES])
    if found is None or (
        len(traceparent) > _TRACEPARENT_BYTES
        and (traceparent[:2] == b"00" or traceparent[_TRACEPARENT_BYTES:][:1] != b"-")
    ):
        return None
    trace_id, parent_id = found.groups()
    return None if trace_id == _NO_TRACE or parent_id == _NO_TRACE[:16] else trace_id.decode()


CURRENT: ContextVar[Operation | None] = ContextVar("pitstop_current", default=None)
"""The operation that runs in this task or thread."""


def current() -> Operation | None:
    """The operation that runs here, or None outside of one and when recording is off."""
    return CURRENT.get()
