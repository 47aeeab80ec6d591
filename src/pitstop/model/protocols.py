"""What rooms ask of one another, and what a plug-in has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pitstop.model.columns import Batch, Errors, Events, Profiles, Reports, Rollups, Samples, Traces
    from pitstop.model.series import Match
    from pitstop.model.trace import TraceMatch
    from pitstop.model.window import Window

Sink = "Callable[[str, float, Mapping[str, object]], None]"


class TableSize(NamedTuple):
    """One table or tier: `step_s` is its interval (0 where it has none), `oldest_s`/`newest_s` None when empty."""

    name: str
    rows: int
    step_s: int
    oldest_s: int | None
    newest_s: int | None


class StoreSize(NamedTuple):
    """What the store takes, bytes, and who keeps house. `state` is ``ok`` or says what is wrong."""

    url: str
    schema: int
    data_bytes: int
    log_bytes: int
    free_bytes: int
    tables: tuple[TableSize, ...]
    series: int
    lease_holder: str
    lease_until_s: float
    state: str


class Upkeep(NamedTuple):
    """What one round of housekeeping did."""

    folded_rows: int = 0
    deleted_rows: int = 0
    checkpointed_bytes: int = 0
    freed_bytes: int = 0


class Store(Protocol):
    """Where batches go and answers come from.

    Columns in and out, no row at a time, no read-modify-write by writers. Every method may be called from any thread
    and after a fork. Raises StoreError and its kinds, nothing else.
    """

    url: str

    def append(self, batch: Batch) -> None:
        """Write all of `batch` or nothing; a `seq` this worker has already written is ignored."""
        ...

    def rollups(self, window: Window, match: Match, *, step_s: int | None = None, hist: bool = True) -> Rollups:
        """Rows of the matching series in `window`, from the coarsest tiers that answer it.

        `step_s`: no row may span more than one step (steps are counted from the epoch), and `ts` is the row's own
        interval start; None: the whole window is one step. An edge that lies where only coarser tiers are kept is
        widened to their interval. `hist=False` leaves that column empty (``b""``) and is cheaper.
        """
        ...

    def samples(
        self, window: Window, *, service: str | None = None, names: tuple[str, ...] = (), step_s: int = 1
    ) -> Samples:
        """Gauges in `window`; at most about one row per step, worker and name (the last one seen). No names: all."""
        ...

    def events(self, window: Window, *, service: str | None = None) -> Events:
        """Events in `window`, oldest first."""
        ...

    def traces(
        self, window: Window, match: TraceMatch, *, limit: int = 100, slowest: bool = False, body: bool = False
    ) -> Traces:
        """Kept traces that started in `window`, newest (or slowest) first, at most `limit`; with spans if `body`."""
        ...

    def trace(self, trace_id: str) -> Traces:
        """Every kept part of one trace with its spans, oldest first: each service and task has its own."""
        ...

    def errors(self, window: Window, *, service: str | None = None, route: str | None = None) -> Errors:
        """The newest row of each fingerprint and route seen in `window`, newest first."""
        ...

    def profiles(
        self, window: Window, *, service: str | None = None, route: str | None = None, mode: str | None = None
    ) -> Profiles:
        """Stacks sampled in `window`, added up by service, mode, route and stack; `ts` is the window's start."""
        ...

    def reports(self, window: Window, *, service: str | None = None, kind: str | None = None) -> Reports:
        """The newest report of each worker, kind and name where it is of `window`; by kind and name, newest first."""
        ...

    def services(self) -> list[str]:
        """Every service that was ever recorded and is still kept, sorted."""
        ...

    def lease(self, holder: str, ttl_s: float) -> bool:
        """Take or renew the right to keep house for `ttl_s`; False when another holder has it."""
        ...

    def upkeep(self, *, retention_s: int | None = None) -> Upkeep:
        """One bounded round: fold tiers, delete what is past retention, checkpoint, return free pages."""
        ...

    def prune(self, before_s: int, *, dry_run: bool = False) -> int:
        """Delete everything older than `before_s`; the number of rows (that would be) deleted."""
        ...

    def checkpoint(self) -> int:
        """Fold the write-ahead log into the data; the bytes the log had. 0 where there is no log."""
        ...

    def size(self) -> StoreSize:
        """What it takes, and its state."""
        ...

    def close(self) -> None:
        """Release connections; the store may not be used afterwards."""
        ...
