"""Figures of the machine that watches, and of its store: measured when somebody looks, and kept in the store.

They are kept as samples of no service, so that a replay sees what was seen live.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pitstop.model import StoreError, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.model import Store
    from pitstop.watch.ledger import Ledger

DISK_FREE_BYTES = "watch.disk_free_bytes"
DISK_FREE_RATIO = "watch.disk_free_ratio"
LOG_BYTES = "watch.store_log_bytes"
DATA_BYTES = "watch.store_data_bytes"
HEARTBEAT_AGE_S = "watch.heartbeat_age_s:"
WORKER = "watch"
OLDEST_S = 120  # a kept figure that is older says nothing of a moment


def measured(store: Store, ledger: Ledger, at_s: float) -> dict[str, float]:
    """Every figure, now. What cannot be measured is left out; never raises."""
    found: dict[str, float] = {}
    path = path_of(store.url)
    if path is not None:
        try:
            disk = shutil.disk_usage(path.parent)
            found[DISK_FREE_BYTES] = float(disk.free)
            found[DISK_FREE_RATIO] = disk.free / disk.total if disk.total else 1.0
        except OSError:
            pass
        for name, file in ((DATA_BYTES, path), (LOG_BYTES, Path(f"{path}-wal"))):
            try:
                found[name] = float(file.stat().st_size)
            except OSError:
                found[name] = 0.0
    try:
        with ledger.read() as db:
            beats = db.execute("SELECT name, seen_s FROM heartbeat").fetchall()
    except StoreError:
        beats = []
    return found | {f"{HEARTBEAT_AGE_S}{name}": max(0.0, at_s - seen_s) for name, seen_s in beats}


def path_of(store_url: str) -> Path | None:
    """The file that a store is in, or None."""
    scheme, _, path = store_url.partition("://")
    return Path(path[1:]) if scheme == "sqlite" and path.strip("/") else None


class Recalled:
    """The figures as they were kept in `window` of a store. Raises StoreError."""

    def __init__(self, store: Store, window: Window) -> None:
        samples = store.samples(Window(window.start_s - OLDEST_S, window.end_s + 1), service="")
        self._by_name: dict[str, list[tuple[int, float]]] = {}
        for ts, worker, name, value in zip(samples.ts, samples.worker, samples.name, samples.value, strict=True):
            if worker == WORKER:
                self._by_name.setdefault(name, []).append((ts, value))
        for points in self._by_name.values():
            points.sort()

    def at(self, at_s: float) -> Mapping[str, float]:
        """What was measured last before `at_s`, or at it."""
        found = {}
        for name, points in self._by_name.items():
            place = _last(points, at_s)
            if place is not None and at_s - points[place][0] <= OLDEST_S:
                found[name] = points[place][1]
        return found


def _last(points: list[tuple[int, float]], at_s: float) -> int | None:
    low, high = 0, len(points)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if points[middle][0] <= at_s else (low, middle)
    return low - 1 if low else None
