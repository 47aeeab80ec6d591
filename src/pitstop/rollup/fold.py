"""From finished operations to rollups: grouped by series first, so that the rest runs in C per group."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.columns import Rollups
from pitstop.model.series import COUNTER, ERROR, OTHER, PART, REPEATED, WEBSOCKET, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.gather import Gather
from pitstop.rollup.histogram import BORDERS_NS, POSITIONS
from pitstop.rollup.parts import DIVIDED, parts_of
from pitstop.rollup.repeated import MOST_ALIKE, repeated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.model.record import ChildFields, Fields
    from pitstop.rollup.gather import Whole
    from pitstop.rollup.repeated import Repeated

_position = partial(bisect_left, BORDERS_NS)


Key = tuple[str, str, str, str, str]  # tenant, kind, name, parent, outcome


class SeriesCap:
    """Lets a bounded number of series through for each kind and tenant; the rest share the name ``__other__``.

    `folded` counts the operations that lost their name, `names` what is known. For one thread.
    """

    def __init__(self, per_kind: int = 1000, tenants: int = 1000) -> None:
        self.per_kind = per_kind
        self.tenants = tenants
        self.folded = 0
        self._known: set[Key] = set()
        self._used: Counter[tuple[str, str]] = Counter()
        self._tenants: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def admit(self, key: Key, operations: int) -> Key:
        """`key` itself while there is room, else the one its tenant's and kind's overflow goes to."""
        if key in self._known:
            return key
        tenant, kind, name, parent, outcome = key
        if tenant not in self._tenants:
            if len(self._tenants) < self.tenants:
                self._tenants.add(tenant)
            else:
                tenant = OTHER
        admitted = (tenant, kind, name, parent, outcome)
        if admitted not in self._known:
            if self._used[tenant, kind] >= self.per_kind:
                self.folded += operations
                return (tenant, kind, OTHER, "", outcome if outcome.isdigit() else "")
            self._used[tenant, kind] += 1
            self._known.add(admitted)
        if tenant == OTHER:
            self.folded += operations
        return admitted


class _Row:
    """What is known of one series in one interval."""

    __slots__ = ("count", "max_ns", "min_ns", "nbytes", "positions", "sum_ns")

    def __init__(self) -> None:
        self.count = self.sum_ns = self.max_ns = self.nbytes = 0
        self.min_ns = 1 << 62
        self.positions: Counter[int] = Counter()

    def add(self, values: list[int], nbytes: int) -> None:
        self.count += len(values)
        self.sum_ns += sum(values)
        self.min_ns = min(self.min_ns, min(values))  # noqa: PLW3301  unpacking thousands is slower
        self.max_ns = max(self.max_ns, max(values))  # noqa: PLW3301
        self.nbytes += nbytes


class Seen(NamedTuple):
    """What folding some records has shown of them, for whoever decides which of them are kept.

    `groups` is durations by series, ns, those of a request of weight 2 twice. `repeats` and `wholes` are by the `id` of
    a record: the few that repeat statements, and those that ended after handing over pieces. `failures` are the
    records that have one.
    """

    groups: dict[Key, list[int]]
    nbytes: dict[Key, int]
    repeats: dict[int, list[Repeated]]
    wholes: dict[int, Whole]
    failures: list[Fields]


class Fold:
    """Adds up finished operations by interval and series until `take`. For one thread."""

    def __init__(self, service: str, cap: SeriesCap | None = None) -> None:
        self.service = service
        self.cap = SeriesCap() if cap is None else cap
        self._pieces = Gather()
        self._rows: dict[tuple[int, Key], _Row] = {}

    def add(self, records: Iterable[Fields], ts: int) -> Seen:  # noqa: C901, PLR0912  calls cost as much as the rest
        """Fold `records` into the interval that starts at `ts`.

        Children are filed under their root's name and tenant. A root stands for `weight` of its like, and so does what
        is below it.
        """
        groups: dict[Key, list[int]] = {}  # durations
        nbytes: dict[Key, int] = {}
        seen = Seen(groups, nbytes, {}, {}, [])
        known, in_pieces = groups.get, self._pieces.open
        for record in records:
            tenant, kind, name, parent, outcome, start_ns, end_ns, size, weight, children, _, _, failure = record
            if kind:
                key = (tenant, kind, name, parent, outcome)
                durations = known(key)
                if durations is None:
                    groups[key] = durations = []
                if weight == 1:
                    durations.append(end_ns - start_ns)
                else:
                    durations += [end_ns - start_ns] * weight
                if size:
                    nbytes[key] = nbytes.get(key, 0) + size * weight
                if failure is not None:
                    _add_failure(seen, record)
                if children or in_pieces:
                    self._divide(seen, record)
            elif children:
                self._pieces.add(record)
            for below, what, how, began_ns, ended_ns, length, _, _ in children or ():
                key = (tenant, below, what, name, how)
                durations = known(key)
                if durations is None:
                    groups[key] = durations = []
                if weight == 1:
                    durations.append(ended_ns - began_ns)
                else:
                    durations += [ended_ns - began_ns] * weight
                if length:
                    nbytes[key] = nbytes.get(key, 0) + length * weight
        for key, durations in groups.items():
            row = self._row(ts, key, len(durations))
            row.add(durations, nbytes.get(key, 0))
            row.positions.update(map(_position, durations))
        return seen

    def _divide(self, seen: Seen, root: Fields) -> None:
        """Fold what all that ended below `root` says of its time as a whole."""
        tenant, kind, name, parent, _, start_ns, end_ns, _, weight, children, _, _, _ = root
        if self._pieces.open and not parent:
            whole = self._pieces.whole(root)
            if whole is not None:
                seen.wholes[id(root)] = whole
                children = whole.children
        if not children:
            return
        groups = seen.groups
        if kind in DIVIDED:
            for part, ns in parts_of(children, start_ns, end_ns).items():
                key = (tenant, PART, part, name, "")
                durations = groups.get(key)
                if durations is None:
                    groups[key] = durations = []
                if weight == 1:
                    durations.append(ns)
                else:
                    durations += [ns] * weight
        if len(children) > MOST_ALIKE and kind != WEBSOCKET:
            _add_repeats(seen, root, children)

    def add_counts(self, counts: Iterable[tuple[str, float]], ts: int) -> None:
        """Fold counters into the interval of `ts`: `count` calls, `sum_ns` 10⁹ × the amount, no histogram."""
        for name, amount in counts:
            self._row(ts, ("", COUNTER, name, "", ""), 1).add([round(amount * 1e9)], 0)

    def _row(self, ts: int, key: Key, operations: int) -> _Row:
        place = (ts, self.cap.admit(key, operations))
        row = self._rows.get(place)
        if row is None:
            self._rows[place] = row = _Row()
        return row

    def take(self) -> Rollups:
        """Everything folded since the last call, one row per interval and series."""
        rows, self._rows = self._rows, {}
        out = Rollups()
        for (ts, (tenant, kind, name, parent, outcome)), row in rows.items():
            out.ts.append(ts)
            out.series.append(Series(self.service, tenant, kind, name, parent, outcome))
            out.count.append(row.count)
            out.sum_ns.append(row.sum_ns)
            out.min_ns.append(row.min_ns)
            out.max_ns.append(row.max_ns)
            out.nbytes.append(row.nbytes)
            out.hist.append(encode(_within(row.positions)) if row.positions else b"")
        return out


def _add_failure(seen: Seen, root: Fields) -> None:
    tenant, _, name, _, _, start_ns, end_ns, _, weight, _, _, _, failure = root
    assert failure is not None
    seen.failures.append(root)
    key = (tenant, ERROR, failure.fingerprint, name, failure.type)
    seen.groups.setdefault(key, []).extend([end_ns - start_ns] * weight)


def _add_repeats(seen: Seen, root: Fields, children: Sequence[ChildFields]) -> None:
    found = repeated(children, root[6] - root[5])
    if found:
        seen.repeats[id(root)] = found
    tenant, name, weight = root[0], root[2], root[8]
    for again in found:
        key = (tenant, REPEATED, again.statement, name, again.line)
        seen.groups.setdefault(key, []).extend([again.total_ns] * weight)
        seen.nbytes[key] = seen.nbytes.get(key, 0) + again.times * weight


def _within(positions: Counter[int]) -> dict[int, int]:
    beyond = positions.pop(POSITIONS, 0)
    if beyond:
        positions[POSITIONS - 1] += beyond
    return positions
