"""Measurements as columns: what a worker writes in one piece, and what a question gets back.

Columns of one table have equal lengths; a row is one position in all of them. Lists and arrays, because the host's
process has the standard library only; analysis turns them into numpy arrays. Plain classes, because dataclasses
would take a third of what importing Pitstop may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableSequence, Sequence
    from typing import Any, Self

    from pitstop.model.series import Series


class _Columns:
    """Equal when all columns are."""

    __slots__: tuple[str, ...] = ()

    def columns(self) -> Iterator[Sequence[object]]:
        """Every column, in the order of their names in the class."""
        return (getattr(self, name) for name in self.__slots__)

    def extend(self, more: Self) -> None:
        """Add every row of `more`."""
        for name in self.__slots__:
            getattr(self, name).extend(getattr(more, name))

    def chosen(self, rows: Iterable[int]) -> Self:
        """The rows of those numbers, in that order."""
        wanted, out = list(rows), type(self)()
        for name in self.__slots__:
            column: Sequence[Any] = getattr(self, name)
            getattr(out, name).extend([column[row] for row in wanted])
        return out

    def __len__(self) -> int:
        return len(next(self.columns()))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            list(mine) == list(getattr(other, name)) for name, mine in zip(self.__slots__, self.columns(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # columns grow

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows)"


class Rollups(_Columns):
    """Series × interval. The same (ts, series) may stand in several rows: whoever reads adds them up.

    `ts` is the interval's start, Unix seconds; `nbytes` response or result bytes; `hist` an encoded histogram
    (`pitstop.rollup.codec`) whose counts add up to `count`. `min_ns` and `max_ns` are exact. Columns of numbers are
    lists, or ``array("q")``, which numpy takes over in one copy.
    """

    __slots__ = ("count", "hist", "max_ns", "min_ns", "nbytes", "series", "sum_ns", "ts")

    def __init__(
        self,
        ts: MutableSequence[int] | None = None,
        series: list[Series] | None = None,
        count: MutableSequence[int] | None = None,
        sum_ns: MutableSequence[int] | None = None,
        min_ns: MutableSequence[int] | None = None,
        max_ns: MutableSequence[int] | None = None,
        nbytes: MutableSequence[int] | None = None,
        hist: list[bytes] | None = None,
    ) -> None:
        self.ts: MutableSequence[int] = [] if ts is None else ts
        self.series: list[Series] = [] if series is None else series
        self.count: MutableSequence[int] = [] if count is None else count
        self.sum_ns: MutableSequence[int] = [] if sum_ns is None else sum_ns
        self.min_ns: MutableSequence[int] = [] if min_ns is None else min_ns
        self.max_ns: MutableSequence[int] = [] if max_ns is None else max_ns
        self.nbytes: MutableSequence[int] = [] if nbytes is None else nbytes
        self.hist: list[bytes] = [] if hist is None else hist


class Samples(_Columns):
    """Gauges of a process at a moment: `ts` Unix seconds, `worker` as in `Batch.worker`, `name` with its unit."""

    __slots__ = ("name", "service", "ts", "value", "worker")

    def __init__(
        self,
        ts: list[int] | None = None,
        service: list[str] | None = None,
        worker: list[str] | None = None,
        name: list[str] | None = None,
        value: list[float] | None = None,
    ) -> None:
        self.ts: list[int] = [] if ts is None else ts
        self.service: list[str] = [] if service is None else service
        self.worker: list[str] = [] if worker is None else worker
        self.name: list[str] = [] if name is None else name
        self.value: list[float] = [] if value is None else value


class Events(_Columns):
    """Things that happened: `kind` deploy, start, stop, alert, config …; `text` one line for a person."""

    __slots__ = ("kind", "service", "text", "ts")

    def __init__(
        self,
        ts: list[int] | None = None,
        service: list[str] | None = None,
        kind: list[str] | None = None,
        text: list[str] | None = None,
    ) -> None:
        self.ts: list[int] = [] if ts is None else ts
        self.service: list[str] = [] if service is None else service
        self.kind: list[str] = [] if kind is None else kind
        self.text: list[str] = [] if text is None else text


class Traces(_Columns):
    """Requests kept with what happened in them, a row each.

    `ts` is the start, Unix seconds; `start_ns` the same in ns; `span_id` the root's own and `parent_id` the span of the
    caller, 16 hex digits each, ``""`` where there is none; `service` to `outcome` as in Series; `reason` one of
    `pitstop.model.trace.REASONS`; `weight` how many requests of its like it stands for; `spans` how many are in `body`
    (`pitstop.model.trace.encode_spans`, ``b""`` where it was not asked for), `left_out` how many there were beyond;
    `fingerprint` the failure's, or ``""``.
    """

    __slots__ = (
        "body", "duration_ns", "fingerprint", "kind", "left_out", "name", "nbytes", "outcome", "parent_id", "reason",
        "service", "span_id", "spans", "start_ns", "tenant", "trace_id", "ts", "weight", "worker",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.start_ns: list[int] = []
        self.duration_ns: list[int] = []
        self.trace_id: list[str] = []
        self.span_id: list[str] = []
        self.parent_id: list[str] = []
        self.service: list[str] = []
        self.worker: list[str] = []
        self.tenant: list[str] = []
        self.kind: list[str] = []
        self.name: list[str] = []
        self.outcome: list[str] = []
        self.nbytes: list[int] = []
        self.reason: list[str] = []
        self.weight: list[int] = []
        self.fingerprint: list[str] = []
        self.spans: list[int] = []
        self.left_out: list[int] = []
        self.body: list[bytes] = []


class Errors(_Columns):
    """Failures seen, without values: at most one row a fingerprint, route, worker and minute; series have the counts.

    `ts` Unix seconds; `route` what failed; the rest as in `pitstop.model.trace.Failure`; `trace_id` of the request, for
    its trace where that was kept.
    """

    __slots__ = ("fingerprint", "line", "message", "route", "service", "stack", "trace_id", "ts", "type")

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.service: list[str] = []
        self.route: list[str] = []
        self.fingerprint: list[str] = []
        self.type: list[str] = []
        self.message: list[str] = []
        self.line: list[str] = []
        self.stack: list[str] = []
        self.trace_id: list[str] = []


class Profiles(_Columns):
    """Sampled stacks: a row a minute (`ts`, Unix seconds), service, mode, route and stack. Equal rows add up.

    `mode` is ``wall``, ``cpu`` or ``blocked`` (what held an event loop for more than 100 ms). `route` is ``""``
    for what ran in no request. `stack` is folded, outermost first: frames ``function (file:line)`` joined by ``;``.
    `weight_ns` is the time that the samples stand for.
    """

    __slots__ = ("mode", "route", "samples", "service", "stack", "ts", "weight_ns")

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.service: list[str] = []
        self.mode: list[str] = []
        self.route: list[str] = []
        self.stack: list[str] = []
        self.samples: list[int] = []
        self.weight_ns: list[int] = []


class Reports(_Columns):
    """What parts of a process say of themselves (`pitstop.record.reports`): the newest of each worker, kind and name.

    `ts` Unix seconds; `body` a JSON object as text, without values of the host's data.
    """

    __slots__ = ("body", "kind", "name", "service", "ts", "worker")

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.service: list[str] = []
        self.worker: list[str] = []
        self.kind: list[str] = []
        self.name: list[str] = []
        self.body: list[str] = []


class Batch:
    """What one worker writes at once: all of it or nothing. Not changed once it is made.

    `worker` names one life of one process and never comes again. `seq` grows by one a batch; a retry carries the
    same `seq` and the same bytes, and a store that has it already ignores it.
    """

    __slots__ = ("errors", "events", "profiles", "reports", "rollups", "samples", "seq", "traces", "worker")

    def __init__(  # noqa: PLR0917  every column of a batch
        self,
        worker: str,
        seq: int,
        rollups: Rollups | None = None,
        samples: Samples | None = None,
        events: Events | None = None,
        traces: Traces | None = None,
        errors: Errors | None = None,
        profiles: Profiles | None = None,
        reports: Reports | None = None,
    ) -> None:
        self.worker = worker
        self.seq = seq
        self.rollups = Rollups() if rollups is None else rollups
        self.samples = Samples() if samples is None else samples
        self.events = Events() if events is None else events
        self.traces = Traces() if traces is None else traces
        self.errors = Errors() if errors is None else errors
        self.profiles = Profiles() if profiles is None else profiles
        self.reports = Reports() if reports is None else reports
