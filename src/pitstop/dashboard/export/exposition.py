"""Everything that there is to export, made in the thread of whoever asks, at most once a second for all of them."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pitstop.dashboard.export.facts import Facts, Ourselves
from pitstop.dashboard.export.protobuf import PROTOBUF_TYPE, write_protobuf
from pitstop.dashboard.export.registry import exporters
from pitstop.dashboard.export.text import OPENMETRICS_TYPE, TEXT_TYPE, write_openmetrics, write_text
from pitstop.dashboard.export.totals import Totals
from pitstop.dashboard.export.totals_file import TotalsFile
from pitstop.model import StoreError, StoreUnavailableError
from pitstop.store import beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pitstop.dashboard.export.family import Family
    from pitstop.model import Clock, Store
    from pitstop.model.watching import Watch

_FAST = 1  # of the levels: a tenth of the bytes for a hundredth of the time of making them
_GZIP = 31  # zlib's name for its format with the largest window
_PIECE_BYTES = 1 << 16
PATIENCE_S = 5.0  # of who waits for another one's; Prometheus gives up after ten
KEPT_S = 1.0  # several Prometheus servers, or one that retries, cost what one does
_log = logging.getLogger("pitstop")

WRITERS: dict[str, Callable[[Iterable[Family]], Iterator[str] | Iterator[bytes]]] = {
    TEXT_TYPE: write_text,
    OPENMETRICS_TYPE: write_openmetrics,
    PROTOBUF_TYPE: write_protobuf,
}


def totals_path(store_url: str) -> Path | None:
    """Where totals are kept: ``pitstop.totals.db`` beside ``pitstop.db``; None for a store in memory."""
    return beside(store_url, "totals")


class Exposition:
    """The families of `store`, and of `watch` where somebody watches. Any thread.

    `writable` false leaves the file of totals as it is. `retention_s` is the store's.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        watch: Watch | None = None,
        *,
        writable: bool = True,
        retention_s: int | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        path = totals_path(store.url)
        self.file = TotalsFile(path) if path else None
        self.watch = watch
        self.ourselves = Ourselves()
        self._store = store
        self._clock = clock
        self._totals = Totals(store, self.file, writable=writable, retention_s=retention_s)
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._noting = threading.Lock()
        self._seldom: dict[str, tuple[float, object]] = {}
        self._kept: dict[str, tuple[float, bytes]] = {}

    def body(self, content_type: str) -> bytes:
        """The exposition in the form of `content_type`, one of WRITERS. Raises StoreError."""
        return b"".join(self.pieces(content_type))

    def pieces(self, content_type: str) -> Iterator[bytes]:
        """The same in pieces, so that the whole of it is never in memory. Raises StoreError before the first."""
        return _unpacked(self.packed(content_type))

    def packed(self, content_type: str) -> bytes:
        """The same, compressed with gzip: as it is made, so that the whole of it is never in memory.

        Raises StoreUnavailableError while another one takes long (a long history is added up at first): those who ask
        again and again must not take all the threads of the dashboard.
        """
        if not self._lock.acquire(timeout=self._patience_s):
            raise StoreUnavailableError("the metrics are being made, which takes long this time; ask again in a while")
        try:
            now_s = self._clock.monotonic_ns() / 1e9
            until_s, packed = self._kept.get(content_type, (float("-inf"), b""))
            if now_s >= until_s:
                self._kept.pop(content_type, None)
                began_s = time.perf_counter()
                packed, size_bytes, lines = _packed(WRITERS[content_type](self.families()))
                self._note_made(time.perf_counter() - began_s, size_bytes, lines)
                self._kept[content_type] = (self._clock.monotonic_ns() / 1e9 + KEPT_S, packed)
            return packed
        finally:
            self._lock.release()

    def families(self) -> Iterator[Family]:
        """Every family of every exporter; one that fails is left out, and counted. Raises StoreError at once."""
        now_s = self._clock.now_s()
        facts = Facts(self._store, self._totals.read(now_s), now_s, self.watch, self.ourselves, self._seldom)
        for name, make in exporters():
            try:
                for family in make(facts):
                    yield _once_each(family)
            except StoreError:
                raise
            except Exception:  # noqa: BLE001  one exporter must not cost the figures of the others
                _log.exception("pitstop: the exporter '%s' failed and is left out", name)
                self.note(partial(_failed, name))

    def note(self, change: Callable[[Ourselves], Ourselves]) -> None:
        """Change what is told of ourselves next time."""
        with self._noting:
            self.ourselves = change(self.ourselves)

    def _note_made(self, took_s: float, size_bytes: int, lines: int) -> None:
        self.note(
            lambda before: before._replace(
                took_s=took_s, size_bytes=size_bytes, samples=lines or before.samples, scrapes=before.scrapes + 1
            )
        )


def _packed(pieces: Iterator[str] | Iterator[bytes]) -> tuple[bytes, int, int]:
    """The pieces compressed, how many bytes they had, and how many lines of values; 0 where they have no lines."""
    packing = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
    out, size_bytes, lines = [], 0, 0
    for piece in pieces:
        data = piece if isinstance(piece, bytes) else piece.encode("utf-8", "replace")
        if isinstance(piece, str) and not piece.startswith("#"):
            lines += piece.count("\n")
        size_bytes += len(data)
        out.append(packing.compress(data))
    out.append(packing.flush())
    return b"".join(out), size_bytes, lines


def _unpacked(packed: bytes) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(_GZIP)
    while packed:
        yield unpacking.decompress(packed, _PIECE_BYTES)
        packed = unpacking.unconsumed_tail
    yield unpacking.flush()


def _once_each(family: Family) -> Family:
    """Without label sets that come twice (names that differ only in what `shown` leaves out): the last counts."""
    told = dict(family.values)
    return family if len(told) == len(family.values) else replace(family, values=list(told.items()))


def _failed(name: str, before: Ourselves) -> Ourselves:
    return before._replace(failures={**before.failures, name: before.failures.get(name, 0) + 1})
