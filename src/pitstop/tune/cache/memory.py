"""The memory level: live values under S3-FIFO, bounded by entries and bytes.

S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023): new keys pass
through a small queue first, and only those asked for again while they are in it, or soon after they left it, get into
the main one; there the hand takes one use from each entry it passes. Scans leave the small queue without harm, and no
entry moves when it is hit: a lookup is one dict lookup and one addition.

How small the small queue is follows what is missed, as in ARC (Megiddo, Modha, FAST 2003): a key that comes back after
it left the small queue makes it longer, one that comes back after it left the main queue makes it shorter. So a steady
popularity is kept as by frequency, and one that shifts as by recency. Hit ratios beside others': ``bench/cache.py``.

Threads: a lookup takes no lock (`dict.get` and reading attributes are atomic with and without a global interpreter
lock; an entry is replaced, never changed, save for `hits` and `epoch`, where losing a race costs one use or one more
look). Whatever changes what is kept takes one lock.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST_SHARE: Final = 0.1  # of all entries that the small queue may hold to begin with, as in the paper
LEAST_SHARE: Final = 0.01
MOST_SHARE: Final = 0.5
GHOST_SHARE: Final = 0.5  # of all entries: keys of each queue that are remembered after they left; best of .4 to 4
SHORTER: Final = 1.25  # steps for a key that comes back to the main queue, where the other makes one; best of .5 to 10
MOST_USES: Final = 3  # that count: two bits, as in the paper
FOREVER_NS: Final = 1 << 62


class Entry:
    """A value and what is known of it; times are monotonic ns, but for `made_s`, which is Unix time.

    It is handed out as it is until `soon_ns` (early refresh may begin then) and is fresh until `fresh_ns`. From
    `check_ns` on the level it came from has to be asked again. `cost_s` is what making it took. It is void with any of
    its `tags`; at `epoch` none of them was. `near` is the key as the host writes it, where its region looks first.
    """

    __slots__ = (
        "check_ns", "cost_s", "epoch", "fresh_ns", "hits", "key", "made_s", "nbytes", "near", "negative", "owner",
        "seat", "seen", "soon_ns", "tags", "trend", "value",
    )  # fmt: skip

    def __init__(  # noqa: PLR0917  by position, which takes half the time of keywords
        self, key: str, value: Any, made_s: float = 0.0, soon_ns: int = FOREVER_NS, fresh_ns: int = FOREVER_NS,
        cost_s: float = 0.0, nbytes: int = 0, tags: tuple[str, ...] = (), epoch: int = 0,
        negative: bool = False, trend: Any = None, owner: Any = None, near: str | None = None,
    ) -> None:  # fmt: skip
        self.key = key
        self.value = value
        self.made_s = made_s
        self.soon_ns = soon_ns
        self.fresh_ns = fresh_ns
        self.cost_s = cost_s
        self.nbytes = nbytes
        self.tags = tags
        self.epoch = epoch
        self.negative = negative
        self.trend = trend
        self.owner = owner
        self.near = near
        self.check_ns = FOREVER_NS
        self.hits = 0
        self.seen = 0  # hits that the hand has already taken into account
        self.seat: _Seat | None = None


class _Seat:
    """A place in a queue. A new value takes the old one's; one that was deleted leaves it empty."""

    __slots__ = ("entry",)

    def __init__(self, entry: Entry) -> None:
        self.entry: Entry | None = entry


class Memory:
    """At most `max_entries` entries of at most `max_bytes` together, as far as their `nbytes` tells.

    `came` is called with each entry that is kept, `gone` with each that leaves and whether it had to make room; both
    while the lock is held.
    """

    def __init__(
        self,
        max_entries: int,
        max_bytes: int | None = None,
        *,
        came: Callable[[Entry], None] | None = None,
        gone: Callable[[Entry, bool], None] | None = None,
    ) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.nbytes = 0
        self.evictions = 0
        self._entries: dict[str, Entry] = {}
        self.find = self._entries.get  # the whole of a lookup; add 1 to the entry's `hits` when it served
        self._small: deque[_Seat] = deque()
        self._main: deque[_Seat] = deque()
        self._left_small: OrderedDict[int, None] = OrderedDict()  # hashes of keys
        self._left_main: OrderedDict[int, None] = OrderedDict()
        self._ghosts = int(max_entries * GHOST_SHARE)
        self._share = FIRST_SHARE
        self._empty_seats = 0
        self._came = came
        self._gone = gone
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """What is kept now; others may change it meanwhile."""
        with self._lock:
            return iter(list(self._entries.values()))

    def put(self, entry: Entry) -> None:
        """Keep `entry` instead of what its key has; others make room."""
        if self.max_entries <= 0:
            return
        key = entry.key
        with self._lock:
            old = self._entries.get(key)
            if old is not None:
                seat = old.seat
                assert seat is not None
                entry.seen = -min(MOST_USES, old.hits - old.seen)
                entry.seat = seat
                seat.entry = entry
                self.nbytes += entry.nbytes - old.nbytes
                self._entries[key] = entry
                if self._gone is not None:
                    self._gone(old, False)
            else:
                ghost = hash(key)
                entry.seat = seat = _Seat(entry)
                while len(self._entries) >= self.max_entries:
                    self._evict()
                if ghost in self._left_small:
                    del self._left_small[ghost]
                    self._share = min(MOST_SHARE, self._share + 1 / (len(self._entries) + 1))
                    self._main.append(seat)
                elif ghost in self._left_main:
                    del self._left_main[ghost]
                    self._share = max(LEAST_SHARE, self._share - SHORTER / (len(self._entries) + 1))
                    self._main.append(seat)
                else:
                    self._small.append(seat)
                self._entries[key] = entry
                self.nbytes += entry.nbytes
            if self._came is not None:
                self._came(entry)
            if self.max_bytes is not None and self.nbytes > self.max_bytes:
                self._make_room(entry)

    def drop(self, key: str, expected: Entry | None = None) -> bool:
        """Forget `key`, if it still has the `expected` entry; whether it was there."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or (expected is not None and entry is not expected):
                return False
            self._remove(entry)
            return True

    def clear(self) -> int:
        """Forget everything; how many that were."""
        with self._lock:
            count = len(self._entries)
            gone, entries = self._gone, list(self._entries.values())
            self._entries.clear()
            self._small.clear()
            self._main.clear()
            self._left_small.clear()
            self._left_main.clear()
            self.nbytes = self._empty_seats = 0
            for entry in entries if gone is not None else ():
                gone(entry, False)  # type: ignore[misc]  # asked for just above
            return count

    def shrink(self, ratio: float) -> int:
        """Let go of all but `ratio` of the entries, the least useful first; bytes freed as far as known."""
        with self._lock:
            before = self.nbytes
            for _ in range(len(self._entries) - int(len(self._entries) * ratio)):
                self._evict()
            return before - self.nbytes

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.key]
        self.nbytes -= entry.nbytes
        if entry.seat is not None and entry.seat.entry is not None:
            entry.seat.entry = None
            self._empty_seats += 1
            if self._empty_seats > self.max_entries:
                self._small = deque(seat for seat in self._small if seat.entry is not None)
                self._main = deque(seat for seat in self._main if seat.entry is not None)
                self._empty_seats = 0
        if self._gone is not None:
            self._gone(entry, False)

    def _make_room(self, newest: Entry) -> None:
        assert self.max_bytes is not None
        if newest.nbytes > self.max_bytes:  # larger than all there is: it must not cost everybody else their place
            self._remove(newest)
        while self.nbytes > self.max_bytes:
            self._evict(newest)

    def _evict(self, spared: Entry | None = None) -> None:
        """Let one entry go, not that which is `spared`."""
        small, main = self._small, self._main
        while True:
            if small and (len(small) >= self._share * len(self._entries) or not main):
                seat = small.popleft()
                entry = seat.entry
                if entry is None:
                    self._empty_seats -= 1
                    continue
                if entry.hits > entry.seen or entry is spared:
                    entry.seen = entry.hits
                    main.append(seat)
                    continue
                left = self._left_small
            else:
                seat = main.popleft()
                entry = seat.entry
                if entry is None:
                    self._empty_seats -= 1
                    continue
                uses = entry.hits - entry.seen
                if uses > 0 or entry is spared:
                    entry.seen = entry.hits - max(0, min(uses, MOST_USES) - 1)
                    main.append(seat)
                    continue
                left = self._left_main
            left[hash(entry.key)] = None
            if len(left) > self._ghosts:
                left.popitem(last=False)
            del self._entries[entry.key]
            self.nbytes -= entry.nbytes
            self.evictions += 1
            if self._gone is not None:
                self._gone(entry, True)
            return

    def reset_after_fork(self) -> None:
        """A thread of the parent may have held the lock; it did not come along."""
        self._lock = threading.Lock()
