"""What was sampled, added up until it is written; by operation first: a route is known when a request has ended.

Two threads meet here: the profiler adds, the flusher takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.columns import Profiles
from pitstop.model.series import UNMATCHED

if TYPE_CHECKING:
    from pitstop.record.operation import Operation
    from pitstop.record.stacks import Stack

    Sample = tuple[Operation | None, str, Stack, int]

WALL = "wall"
CPU = "cpu"
BLOCKED = "blocked"
OTHER_STACKS = "(other)"
MOST_STACKS = 2000  # different ones a minute; at 50 a second no more than 3,000 samples of one thread come together
LONGEST_S = 10.0  # a request that runs longer is filed under what is known of its route by then
HELD_S = 10.0
MINUTE_S = 60
MOST_WAITING = 10_000  # looks, while the flusher is held up: minutes

_Key = tuple[int, str, str]  # minute, mode, stack
_Sums = dict[_Key, list[int]]  # samples, weight in ns


def route_of(op: Operation | None) -> str:
    """The route that `op` belongs to, ``""`` without one."""
    if op is None:
        return ""
    root = op.root or op
    return root.name or root.name_so_far() or UNMATCHED


class Tally:
    """Samples of one process by minute, mode, route and stack; `take` gives them as rows."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._incoming: list[tuple[int, list[Sample]]] = []
        self._unnamed: dict[Operation, tuple[float, _Sums]] = {}
        self._rows: dict[tuple[int, str, str, str], list[int]] = {}
        self._stacks: dict[int, set[str]] = {}
        self._taken_s = 0.0

    def add(self, samples: list[Sample], now_s: float) -> None:
        """Take in (operation, mode, stack, weight in ns), all sampled at `now_s`, Unix seconds."""
        if len(self._incoming) < MOST_WAITING:
            self._incoming.append((int(now_s) // MINUTE_S * MINUTE_S, samples))

    def take(self, now_s: float, *, final: bool = False) -> Profiles:
        """Rows since the last call, of what has ended or has run for too long to be waited for; `final`: of all.

        Held back for up to `HELD_S`, so that a stack that is seen every second is not written every second.
        """
        for op, sums in self._grouped().items():
            if op is None:
                self._file("", sums)
            else:
                _merge(self._unnamed.setdefault(op, (now_s, {}))[1], sums)
        for op, (since_s, sums) in list(self._unnamed.items()):
            if final or op.end_ns or now_s - since_s > LONGEST_S:
                del self._unnamed[op]
                self._file(route_of(op), sums)
        if not final and now_s - self._taken_s < HELD_S:
            return Profiles()
        self._taken_s = now_s
        rows, self._rows = self._rows, {}
        return self._columns(rows)

    def _grouped(self) -> dict[Operation | None, _Sums]:
        """What has come in, added up by root. The list is cut, never swapped: the other thread may hold it."""
        incoming = self._incoming
        n = len(incoming)
        groups: dict[Operation | None, _Sums] = {}
        for minute, samples in incoming[:n]:
            for op, mode, stack, weight_ns in samples:
                root = op.root or op if op is not None else None
                sums = groups.get(root)
                if sums is None:
                    sums = groups[root] = {}
                row = sums.setdefault((minute, mode, stack.text), [0, 0])
                row[0] += 1
                row[1] += weight_ns
        del incoming[:n]
        return groups

    def _file(self, route: str, sums: _Sums) -> None:
        for (minute, mode, text), (samples, weight_ns) in sums.items():
            row = self._rows.setdefault((minute, mode, route, self._admit(minute, text)), [0, 0])
            row[0] += samples
            row[1] += weight_ns

    def _admit(self, minute: int, text: str) -> str:
        known = self._stacks.get(minute)
        if known is None:
            self._stacks = {at: seen for at, seen in self._stacks.items() if at >= minute - MINUTE_S}
            known = self._stacks[minute] = set()
        if text in known:
            return text
        if len(known) >= MOST_STACKS:
            return OTHER_STACKS
        known.add(text)
        return text

    def _columns(self, rows: dict[tuple[int, str, str, str], list[int]]) -> Profiles:
        out = Profiles()
        for (minute, mode, route, text), (samples, weight_ns) in rows.items():
            out.ts.append(minute)
            out.service.append(self.service)
            out.mode.append(mode)
            out.route.append(route)
            out.stack.append(text)
            out.samples.append(samples)
            out.weight_ns.append(weight_ns)
        return out


def _merge(into: _Sums, sums: _Sums) -> None:
    for key, (samples, weight_ns) in sums.items():
        row = into.setdefault(key, [0, 0])
        row[0] += samples
        row[1] += weight_ns
