"""Is there always a connection? Every engine's pool, over all workers, and what its waits cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitstop.analyze.reports import Said, by_service, current, like_of, reports
from pitstop.model.tuned import POOL_REPORT, PoolBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model import Store, Window

_SUMMED = ("size", "max_overflow", "in_use", "idle", "opened", "recycled", "waits", "timeouts")


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One engine of one service, its workers added up; `waited_s` is the longest wait of any.

    `opened`, `recycled`, `waits` and `timeouts` are totals since each worker began. `most` is how many connections
    all workers together may open.
    """

    name: str
    service: str
    dialect: str
    workers: int
    size: int
    max_overflow: int
    in_use: int
    idle: int
    opened: int
    recycled: int
    waits: int
    waited_s: float
    timeouts: int
    recycle_s: int
    statement_timeout_s: float | None
    server_limit: int | None
    advice: str
    ts: int

    @property
    def most(self) -> int:
        """Connections that may be open at once."""
        return self.size + max(0, self.max_overflow)


def pools(store: Store, window: Window, service: str | None = None) -> list[PoolRow]:
    """The pools that workers still report, the one that kept somebody waiting longest first."""
    said = current(reports(store, window, POOL_REPORT, service, like=like_of(PoolBody)), window.end_s)
    rows = [_row(ones) for ones in by_service(said)]
    return sorted(rows, key=lambda row: (-row.waited_s, -row.waits, row.name, row.service))


def _row(ones: Sequence[Said]) -> PoolRow:
    newest = ones[0].body
    kept = {field: newest[field] for field in ("dialect", "recycle_s", "statement_timeout_s", "server_limit")}
    return PoolRow(
        name=ones[0].name,
        service=ones[0].service,
        workers=len(ones),
        waited_s=max(one.body["waited_s"] for one in ones),
        advice=next((one.body["advice"] for one in ones if one.body["advice"]), ""),
        ts=ones[0].ts,
        **{field: sum(one.body[field] for one in ones) for field in _SUMMED},
        **kept,
    )
