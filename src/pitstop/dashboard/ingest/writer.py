"""From what was sent to the store: assembled, folded and written once a second, in a thread of its own.

As in the flusher of a recording process a batch is written whole or not at all and retried unchanged. A body that
comes a second time, because its sender did not hear that it was taken, counts once. What was taken and not yet
written, at most some ten seconds, is lost when the process is killed, and written when it ends.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from pitstop.dashboard.ingest.assemble import Assembler
from pitstop.dashboard.ingest.incoming import Refused, spans_of
from pitstop.dashboard.ingest.points import COUNT, GAUGE, Point, Points
from pitstop.model import Batch, Errors, Rollups, Samples, Series, StoreError, Traces
from pitstop.model.series import METRIC
from pitstop.model.trace import INGESTED, REASONS, decode_spans, encode_spans
from pitstop.rollup.codec import encode
from pitstop.rollup.flusher import worker_name
from pitstop.rollup.fold import Fold
from pitstop.rollup.histogram import value_ns
from pitstop.rollup.keep import Keeper
from pitstop.rollup.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pitstop.dashboard.ingest.assemble import Assembled
    from pitstop.dashboard.ingest.incoming import Source
    from pitstop.model import Clock, Store

EVERY_S = 1.0
MOST_SERVICES = 200
MOST_SAMPLES = 1000  # gauges of one second
MOST_SPANS = 5000  # of a trace that another Pitstop sends
WAITING_BATCHES = 120
REMEMBERED = 4096  # bodies, by digest
_STOP_S = 5.0
_log = logging.getLogger("pitstop")


class _Service:
    def __init__(self, name: str, worker: str) -> None:
        self.fold = Fold(name)
        self.keeper = Keeper(name, worker)


class Writer:
    """Takes decoded requests and writes to `store`. Safe from any thread; a child of a fork begins anew."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pid = 0
        self._begin()

    def _begin(self) -> None:
        self.lost = 0
        self.worker = f"ingest:{worker_name()}"
        self._seq = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._taken: OrderedDict[bytes, None] = OrderedDict()
        self._assembler = Assembler()
        self._points = Points()
        self._services: dict[str, _Service] = {}
        self._kept: dict[str, Kept] = {}
        self._rollups, self._samples, self._traces, self._errors = Rollups(), Samples(), Traces(), Errors()
        self._waiting: deque[Batch] = deque()
        self._complained = ""

    @property
    def full(self) -> bool:
        """Whether the store has not taken anything for so long that senders should wait."""
        return len(self._waiting) >= WAITING_BATCHES // 2

    def spans(self, request: Any, body: bytes) -> Refused:
        """Take the spans of an ExportTraceServiceRequest that came as `body`."""
        refused = Refused()
        with self._lock:
            if self._ready(body):
                now_ns = int(self._clock.now_s() * 1e9)
                for source, spans in spans_of(request, now_ns, refused):
                    if self._service(source.service) is None:
                        refused.add(f"more than {MOST_SERVICES} services", len(spans))
                    else:
                        self._assembler.add(source, spans, self._now_s())
        return refused

    def points(self, request: Any, body: bytes) -> Refused:
        """Take the points of an ExportMetricsServiceRequest that came as `body`."""
        refused = Refused()
        with self._lock:
            if self._ready(body):
                for source, point in self._points.of(request, int(self._clock.now_s() * 1e9), refused):
                    service = self._service(source.service)
                    if service is None:
                        refused.add(f"more than {MOST_SERVICES} services")
                    elif point.kind == GAUGE:
                        self._sample(source, point)
                    elif point.kind == COUNT:
                        service.fold.add_counts([(point.name, point.value)], point.ts)
                    else:
                        self._histogram(source, service, point)
        return refused

    def flush(self, *, everything: bool = True) -> bool:
        """Write what is due, or all of it; whether the store has taken it."""
        with self._writing:
            with self._lock:
                self._fold(everything=everything)
                self._batch()
            return self._write()

    def stop(self) -> None:
        """Write everything and end the thread."""
        if self._thread is None or self._pid != os.getpid():
            return
        self._end.set()
        self._thread.join(_STOP_S)
        self._thread = None
        self.flush()

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _ready(self, body: bytes) -> bool:
        """See that the thread runs; whether `body` is a new one."""
        if self._pid != os.getpid():
            if self._pid:
                lock = self._lock
                self._begin()
                self._lock = lock  # the one that is held here
            self._pid = os.getpid()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._end,), name="pitstop-ingest", daemon=True)
            self._thread.start()
            atexit.register(self.stop)
        digest = hashlib.sha256(body).digest()
        if digest in self._taken:
            return False
        self._taken[digest] = None
        if len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)
        return True

    def _service(self, name: str) -> _Service | None:
        service = self._services.get(name)
        if service is None and len(self._services) < MOST_SERVICES:
            self._services[name] = service = _Service(name, self.worker)
        return service

    def _sample(self, source: Source, point: Point) -> None:
        samples = self._samples
        if len(samples) >= MOST_SAMPLES:
            self.lost += 1
            return
        samples.ts.append(point.ts)
        samples.service.append(source.service)
        samples.worker.append(source.instance)
        samples.name.append(point.name)
        samples.value.append(point.value)

    def _histogram(self, source: Source, service: _Service, point: Point) -> None:
        told = point.attributes
        nbytes = 0
        series = Series(source.service, "", METRIC, point.name, "", "")
        if source.ours and "pitstop.kind" in told:
            series = Series(source.service, *(str(told.get(f"pitstop.{field}", "")) for field in Series._fields[1:]))
            size = told.get("pitstop.bytes")
            nbytes = size if isinstance(size, int) and 0 <= size < 1 << 53 else 0
        count = sum(point.positions.values())
        if not count:
            return
        total_ns = round(point.value)
        least, most = value_ns(min(point.positions)), value_ns(max(point.positions))
        rollups = self._rollups
        rollups.ts.append(point.ts)
        rollups.series.append(Series(source.service, *service.fold.cap.admit(series[1:], count)))
        rollups.count.append(count)
        rollups.sum_ns.append(min(total_ns, (1 << 62) - 1))
        rollups.min_ns.append(point.min_ns if point.min_ns >= 0 else round(least))
        rollups.max_ns.append(min(point.max_ns if point.max_ns >= 0 else round(most), (1 << 62) - 1))
        rollups.nbytes.append(nbytes)
        rollups.hist.append(encode(dict(point.positions)))

    def _fold(self, *, everything: bool) -> None:
        """What is due goes into the folds, second by second, and is looked at for traces."""
        ids: dict[tuple[str, str, int], Mapping[int, int]] = {}
        by_second: dict[tuple[str, int], list[Any]] = {}
        for assembled in self._assembler.due(self._now_s(), everything=everything):
            record = assembled.record
            ids[assembled.source.service, assembled.trace_id, record[5]] = assembled.ids
            if assembled.source.ours:
                self._keep_as_told(assembled)
            else:
                by_second.setdefault((assembled.source.service, record[6] // 1_000_000_000), []).append(record)
        for (name, ts), records in by_second.items():
            service = self._services[name]
            service.keeper.look(records, service.fold.add(records, ts), self._now_s(), 0)
        keepers: list[Keeper | Kept] = [*(service.keeper for service in self._services.values()), *self._kept.values()]
        for keeper in keepers:
            traces, errors = keeper.take()
            _with_own_ids(traces, ids)
            self._traces.extend(traces)
            self._errors.extend(errors)

    def _keep_as_told(self, assembled: Assembled) -> None:
        """A trace that another Pitstop has chosen; its metrics have counted the request."""
        told, source = assembled.attributes, assembled.source
        weight, reason = told.get("pitstop.weight"), str(told.get("pitstop.reason"))
        kept = self._kept.get(source.service)
        if kept is None:
            self._kept[source.service] = kept = Kept(source.service, source.instance, MOST_SPANS)
        n = weight if isinstance(weight, int) and 0 < weight < 1 << 31 else 1
        kept.trace(assembled.record, reason if reason in REASONS else INGESTED, n, None, 0)

    def _batch(self) -> None:
        for service in self._services.values():
            self._rollups.extend(service.fold.take())
        parts = self._rollups, self._samples, self._traces, self._errors
        if not any(map(len, parts)):
            return
        self._seq += 1
        rollups, samples, traces, errors = parts
        self._waiting.append(Batch(self.worker, self._seq, rollups, samples, None, traces, errors))
        self._rollups, self._samples, self._traces, self._errors = Rollups(), Samples(), Traces(), Errors()
        if len(self._waiting) > WAITING_BATCHES:
            self.lost += sum(self._waiting.popleft().rollups.count)

    def _write(self) -> bool:
        while self._waiting:
            try:
                self._store.append(self._waiting[0])
            except StoreError as error:
                if str(error) != self._complained:
                    self._complained = str(error)
                    _log.warning("pitstop: what was sent here waits: %s", error)
                return False
            self._waiting.popleft()
        self._complained = ""
        return True

    def _run(self, end: threading.Event) -> None:
        while not end.wait(EVERY_S - time.time() % EVERY_S):
            try:
                self.flush(everything=False)
            except Exception:  # noqa: BLE001  a fault of ours must not end the writing
                _log.exception("pitstop: writing what was sent here failed and goes on")


def _with_own_ids(traces: Traces, ids: Mapping[tuple[str, str, int], Mapping[int, int]]) -> None:
    """The ids that the senders gave their spans, so that one service's part of a trace is found from another's."""
    rows = zip(traces.service, traces.trace_id, traces.start_ns, traces.body, strict=True)
    for i, (service, trace_id, start_ns, body) in enumerate(rows):
        own: Mapping[int, int] = ids.get((service, trace_id, start_ns), {})
        if own:
            traces.span_id[i] = f"{own[start_ns]:016x}"
            spans: Iterable[Any] = decode_spans(body)
            traces.body[i] = encode_spans(
                [
                    span._replace(span_id=own.get(span.span_id, span.span_id), parent_id=own.get(span.parent_id, 0))
                    for span in spans
                ]
            )
