"""The SQLite store: its parts put together, and what happens when the file is damaged."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, TypeVar

from pitstop.model.clock import Clock, SystemClock
from pitstop.model.columns import Batch, Events
from pitstop.model.errors import StoreError, StoreUnavailableError
from pitstop.model.protocols import StoreSize, Upkeep
from pitstop.store.examples import TRACE_BYTES
from pitstop.store.sqlite import failures, faults, names, profiles, read, reports, schema, traces, upkeep, write
from pitstop.store.sqlite.connection import Connections
from pitstop.store.sqlite.tiers import DEFAULT_RETENTION_S

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from pitstop.model.columns import Errors, Profiles, Reports, Rollups, Samples, Traces
    from pitstop.model.series import Match, Series
    from pitstop.model.trace import TraceMatch
    from pitstop.model.window import Window

T = TypeVar("T")

_log = logging.getLogger("pitstop")


class SqliteStore:
    """`Store` over the file at `path`. Nothing is opened before the first use. Any thread, any number of processes.

    `readonly` never creates, migrates or renames. `trace_bytes` is what the spans of all traces may take.
    `mounts` yields a table as in /proc/mounts.
    """

    def __init__(
        self,
        path: str,
        *,
        readonly: bool = False,
        clock: Clock | None = None,
        retention_s: int = DEFAULT_RETENTION_S,
        trace_bytes: int = TRACE_BYTES,
        mounts: Callable[[], str] = faults.mounted_file_systems,
    ) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100  a host may change its directory later
        self.url = f"sqlite:///{self.path}"
        self.readonly = readonly
        self.retention_s = retention_s
        self._clock = clock or SystemClock()
        self._mounts = mounts
        self._connections = Connections(self.path, readonly=readonly, approve=self._approve, prepare=self._prepare)
        self._names = names.Names()
        self._known: dict[int, Series] = {}
        self._last_fault = ""
        self._house = upkeep.House(self._connections, self._clock, trace_bytes)

    def _approve(self) -> None:
        faults.refuse_network_file_system(self.path, self._mounts())
        schema.refuse_newer(self.path)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._names = names.Names()
        self._known = {}
        if self.readonly:
            schema.check_readable(connection, self.path)
        else:
            schema.migrate(connection, self.path)

    def append(self, batch: Batch) -> None:
        """Write all of `batch` or nothing; a `seq` this worker has already written is ignored."""
        self._guarded(lambda: self._append(batch))

    def _append(self, batch: Batch) -> None:
        added: names.Appended | None = None

        def settle() -> None:
            if added is not None:
                added.settle(self._names)

        with self._connections.write(committed=settle) as connection:
            added = write.append(connection, batch, self._names, int(self._clock.now_s()))

    def rollups(self, window: Window, match: Match, *, step_s: int | None = None, hist: bool = True) -> Rollups:
        """Rows of the matching series in `window`; see `pitstop.model.Store`."""
        with self._connections.read() as connection:
            return read.rollups_of(connection, window, match, step_s, hist, self._known)

    def samples(
        self, window: Window, *, service: str | None = None, names: tuple[str, ...] = (), step_s: int = 1
    ) -> Samples:
        """Gauges in `window`, the last value of each step; see `pitstop.model.Store`."""
        with self._connections.read() as connection:
            return read.samples_of(connection, window, service, names, step_s)

    def events(self, window: Window, *, service: str | None = None) -> Events:
        """Events in `window`, oldest first."""
        with self._connections.read() as connection:
            return read.events_of(connection, window, service)

    def traces(
        self, window: Window, match: TraceMatch, *, limit: int = 100, slowest: bool = False, body: bool = False
    ) -> Traces:
        """Kept traces that started in `window`, newest (or slowest) first; see `pitstop.model.Store`."""
        with self._connections.read() as connection:
            return traces.traces_of(connection, window, match, limit, slowest, body)

    def trace(self, trace_id: str) -> Traces:
        """Every kept part of one trace with its spans, oldest first."""
        with self._connections.read() as connection:
            return traces.trace_of(connection, trace_id)

    def errors(self, window: Window, *, service: str | None = None, route: str | None = None) -> Errors:
        """The newest row of each failure of a route seen in `window`, newest first."""
        with self._connections.read() as connection:
            return failures.errors_of(connection, window, service, route)

    def profiles(
        self, window: Window, *, service: str | None = None, route: str | None = None, mode: str | None = None
    ) -> Profiles:
        """Stacks sampled in `window`, added up; see `pitstop.model.Store`."""
        with self._connections.read() as connection:
            return profiles.profiles_of(connection, window, service, route, mode, write.read_reaches(connection))

    def reports(self, window: Window, *, service: str | None = None, kind: str | None = None) -> Reports:
        """The newest report of each worker, kind and name; see `pitstop.model.Store`."""
        with self._connections.read() as connection:
            return reports.reports_of(connection, window, service, kind)

    def services(self) -> list[str]:
        """Every service that is still kept, sorted."""
        with self._connections.read() as connection:
            return read.services_of(connection)

    def lease(self, holder: str, ttl_s: float) -> bool:
        """Take or renew the right to keep house; False when another holder has it."""
        return self._guarded(lambda: self._house.lease(holder, ttl_s))

    def upkeep(self, *, retention_s: int | None = None) -> Upkeep:
        """One bounded round of folding, retention, checkpoint and vacuum."""
        return self._guarded(lambda: self._house.round(retention_s or self.retention_s))

    def prune(self, before_s: int, *, dry_run: bool = False) -> int:
        """Delete what is older than `before_s`; a longer interval that holds newer data, too, stays whole."""
        before_s = min(before_s, int(self._clock.now_s()))
        if dry_run:
            return self._house.prunable(before_s)
        return self._guarded(lambda: self._house.prune(before_s, int(self._clock.now_s())))

    def checkpoint(self) -> int:
        """Fold the write-ahead log into the data; the bytes it had, 0 when readers were in the way."""
        return self._guarded(self._house.checkpoint)

    def size(self) -> StoreSize:
        """What it takes, without counting rows: each transaction keeps their number. Never raises."""
        log_bytes, data_bytes = _bytes_of(self.path + "-wal"), _bytes_of(self.path)
        try:
            with self._connections.read() as connection:
                return read.size_of(connection, self.url, data_bytes, log_bytes, self._last_fault or "ok")
        except StoreError as error:
            return StoreSize(self.url, 0, data_bytes, log_bytes, 0, (), 0, "", 0.0, str(error))

    def close(self) -> None:
        """Release connections; the store may not be used afterwards."""
        self._connections.close()

    def _guarded(self, action: Callable[[], T]) -> T:
        """Do `action`; when the file turns out to be damaged, set it aside and do it with a fresh one."""
        if self.readonly:
            raise StoreUnavailableError(f"the store '{self.path}' was opened readonly")
        try:
            inode = self._connections.inode
            try:
                result = action()
            except faults.DamagedFileError as error:
                self._replace(inode, str(error))
                result = action()
        except StoreError as error:
            self._last_fault = str(error)
            raise
        self._last_fault = ""
        return result

    def _replace(self, inode: int, reason: str) -> None:
        self._connections.forget()
        aside = faults.set_aside(self.path, inode)
        if aside is None:
            return
        _log.error("%s; it was renamed to %s and a fresh one begun", reason, aside)
        now_s = int(self._clock.now_s())
        text = f"the store was damaged and set aside as {aside}"
        events = Events()
        events.ts, events.service, events.kind, events.text = [now_s], [""], ["store"], [text]
        self._append(Batch(f"store-{os.getpid()}-{now_s}", 1, events=events))


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0
