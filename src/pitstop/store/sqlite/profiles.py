"""Sampled stacks: of each interval and source a row that has all stacks, packed.

A pack is three bytes (what a number of each column takes) and then the columns: ids of stacks, samples, weight_ns;
little-endian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.columns import Profiles
from pitstop.model.errors import StoreCorruptError
from pitstop.store.sqlite.frames import stack_id, stacks_of
from pitstop.store.sqlite.names import source_id
from pitstop.store.sqlite.packs import array_of, column_of, fitting
from pitstop.store.sqlite.tiers import HOUR_S, PROFILE_TIERS, plan
from pitstop.store.stacks import OF_PROFILES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from pitstop.model.window import Window
    from pitstop.store.sqlite.names import Appended, Names
    from pitstop.store.sqlite.tiers import Reach

Sampled = dict[int, tuple[int, int]]  # samples and weight_ns of each stack

INSERT_PROFILE = "INSERT INTO {name} (ts, source, worker, seq, n, stacks) VALUES (?, ?, ?, ?, ?, ?)"
_COLUMNS = 3
_WIDTHS = frozenset((1, 2, 4, 8))


def packed_stacks(sampled: Sampled) -> bytes:
    """`sampled` as a pack."""
    columns = [fitting(list(sampled)), *(fitting(column) for column in zip(*sampled.values(), strict=True))]
    return bytes(column.itemsize for column in columns) + b"".join(map(column_of, columns))


def add_packed(total: Sampled, ts: int, n: int, data: bytes) -> None:
    """Add the pack of `n` stacks to `total`. Raises StoreCorruptError when its length does not fit."""
    widths = data[:_COLUMNS]
    if len(data) != _COLUMNS + n * sum(widths) or not _WIDTHS.issuperset(widths):
        raise StoreCorruptError(f"the stacks of the interval at {ts} have a wrong length; run 'pitstop doctor'")
    columns = []
    at = _COLUMNS
    for width in widths:
        columns.append(array_of(width, data[at : at + n * width]).tolist())
        at += n * width
    for stack, samples, weight_ns in zip(*columns, strict=True):
        have = total.get(stack)
        total[stack] = (samples, weight_ns) if have is None else (have[0] + samples, have[1] + weight_ns)


def append_profiles(
    connection: sqlite3.Connection,
    profiles: Profiles,
    author: tuple[int, int],
    reaches: Mapping[str, Reach],
    names: Names,
    added: Appended,
) -> dict[str, int]:
    """Write `profiles` of the batch `author`; the number of new rows of each table.

    As with rollups, what folding has passed goes into the coarser tiers, too.
    """
    rows = []
    sources = zip(profiles.service, profiles.mode, profiles.route, strict=True)
    for n, (ts, source) in enumerate(zip(profiles.ts, sources, strict=True)):
        sampled = (profiles.samples[n], profiles.weight_ns[n])
        stack = stack_id(connection, profiles.stack[n], OF_PROFILES, ts, names, added)
        rows.append((ts, source_id(connection, source, ts, names, added), stack, sampled))
    written: dict[str, int] = {}
    for tier in PROFILE_TIERS:
        _, floor_s, mark_s = reaches[tier.name]
        groups: dict[tuple[int, int], Sampled] = {}
        for ts, source_of, stack, (samples, weight_ns) in rows:
            if floor_s <= ts < mark_s:
                group = groups.setdefault((ts // tier.step_s * tier.step_s, source_of), {})
                have = group.get(stack, (0, 0))
                group[stack] = (have[0] + samples, have[1] + weight_ns)
        packs = [(*place, *author, len(group), packed_stacks(group)) for place, group in sorted(groups.items())]
        connection.executemany(INSERT_PROFILE.format(name=tier.name), packs)
        if packs and tier.step_s >= HOUR_S:
            # folding raises these interval by interval; these rows will not be folded
            seen = {stack: ts for (ts, _), group in sorted(groups.items()) for stack in group}
            raised = "UPDATE stack SET seen_s = max(seen_s, ?), days_s = max(days_s, ?) WHERE id = ?"
            connection.executemany(raised, [(ts, ts, stack) for stack, ts in seen.items()])
            newest = "UPDATE source SET seen_s = max(seen_s, ?) WHERE id = ?"
            connection.executemany(newest, list(groups))
        written[tier.name] = sum(map(len, groups.values()))
    return written


def profiles_of(
    connection: sqlite3.Connection,
    window: Window,
    service: str | None,
    route: str | None,
    mode: str | None,
    reaches: Mapping[str, Reach],
) -> Profiles:
    """Stacks added up; see `pitstop.model.Store`."""
    wanted = [(field, value) for field, value in (("service", service), ("route", route), ("mode", mode))]
    conditions = [f"{field} = ?" for field, value in wanted if value is not None]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"SELECT id, service, mode, route FROM source {where}"  # noqa: S608
    found = connection.execute(query, [value for _, value in wanted if value is not None])
    sources = {i: source for i, *source in found}
    totals: dict[int, Sampled] = {i: {} for i in sources}
    for table, start_s, end_s in plan(window, None, [reaches[tier.name] for tier in PROFILE_TIERS]):
        rows = f"SELECT ts, source, n, stacks FROM {table.name} WHERE ts >= ? AND ts < ?"  # noqa: S608
        for ts, source, n, data in connection.execute(rows, (start_s, end_s)):
            if source in totals:
                add_packed(totals[source], ts, n, data)
    texts = stacks_of(connection, {stack for total in totals.values() for stack in total})
    out = Profiles()
    for i, (of, in_mode, of_route) in sources.items():
        for stack, (samples, weight_ns) in totals[i].items():
            out.ts.append(window.start_s)
            out.service.append(of)
            out.mode.append(in_mode)
            out.route.append(of_route)
            out.stack.append(texts[stack])
            out.samples.append(samples)
            out.weight_ns.append(weight_ns)
    return out
