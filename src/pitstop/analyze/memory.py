"""Where does memory go? Pressure, what leaks, the collector, object pools and limiters, as workers report them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.analyze.reports import Said, by_service, current, like_of, reports
from pitstop.model.tuned import (
    GC_REPORT,
    LEAK_REPORT,
    LIMITER_REPORT,
    OBJECTS_REPORT,
    PRESSURE_REPORT,
    GcBody,
    LeakBody,
    LimiterBody,
    ObjectsBody,
    PressureBody,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model import Store, Window

LEVELS = ("none", "elevated", "high", "critical")


class Collector(NamedTuple):
    """The garbage collector of one worker; see `pitstop.model.tuned.GcBody`."""

    service: str
    worker: str
    ts: int
    thresholds: tuple[int, ...]
    why: str
    frozen: int
    collections: tuple[int, ...]
    pause_s: float
    longest_s: float
    allocations_per_s: float


class Pressure(NamedTuple):
    """One worker's memory against its limit; `shed` is what gave way."""

    service: str
    worker: str
    ts: int
    level: str
    used_bytes: int
    limit_bytes: int | None
    source: str
    shed: tuple[str, ...]


class Leak(NamedTuple):
    """Something that only grows in one worker; `line` where a closer look has found who allocates it."""

    service: str
    worker: str
    ts: int
    what: str
    why: str
    bytes_per_min: float
    count_per_min: float
    since_s: float
    line: str
    sure: bool


class Objects(NamedTuple):
    """A pool of objects, its workers added up. `saved_s` may be negative: making them anew would have been quicker."""

    name: str
    service: str
    workers: int
    size: int
    idle: int
    taken: int
    made: int
    make_s: float
    reset_s: float
    saved_s: float
    verdict: str


class Limiter(NamedTuple):
    """How many requests one worker runs at once, and who was refused, by priority."""

    name: str
    service: str
    worker: str
    ts: int
    limit: float
    in_flight: int
    most: int
    refused: dict[str, int]
    least_s: float
    recent_s: float
    why: str

    @property
    def refusals(self) -> int:
        """Over all priorities."""
        return sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Memory:
    """All of it, what is worst first. Leaks are kept when their worker is gone; the rest is of living workers."""

    pressure: tuple[Pressure, ...]
    leaks: tuple[Leak, ...]
    collectors: tuple[Collector, ...]
    objects: tuple[Objects, ...]
    limiters: tuple[Limiter, ...]

    @property
    def level(self) -> str | None:
        """The worst pressure of any worker; None when none reports it."""
        return self.pressure[0].level if self.pressure else None


def memory(store: Store, window: Window, service: str | None = None) -> Memory:
    """What is reported about memory in `window`."""

    def now(kind: str, body: type) -> list[Said]:
        return current(reports(store, window, kind, service, like=like_of(body)), window.end_s)

    leaks = reports(store, window, LEAK_REPORT, service, like=like_of(LeakBody))
    pressure = [Pressure(*_who(one), **_tuples(one.body)) for one in now(PRESSURE_REPORT, PressureBody)]
    collectors = [Collector(*_who(one), **_tuples(one.body)) for one in now(GC_REPORT, GcBody)]
    limiters = [Limiter(one.name, *_who(one), **one.body) for one in now(LIMITER_REPORT, LimiterBody)]
    return Memory(
        pressure=tuple(sorted(pressure, key=lambda one: (-_rank(one.level), -one.used_bytes, one.worker))),
        leaks=tuple(
            sorted(
                (Leak(*_who(one), **(one.body | {"what": one.body["what"] or one.name})) for one in leaks),
                key=lambda one: (not one.sure, -one.bytes_per_min, -one.count_per_min, one.what),
            )
        ),
        collectors=tuple(sorted(collectors, key=lambda one: (-one.longest_s, one.worker))),
        objects=tuple(_objects(now(OBJECTS_REPORT, ObjectsBody))),
        limiters=tuple(sorted(limiters, key=lambda one: (-one.refusals, one.name, one.worker))),
    )


def _who(one: Said) -> tuple[str, str, int]:
    return one.service, one.worker, one.ts


def _tuples(body: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else 0


def _objects(said: Sequence[Said]) -> list[Objects]:
    rows = []
    for ones in by_service(said):
        bodies = [one.body for one in ones]
        totals = {field: sum(body[field] for body in bodies) for field in ("size", "idle", "taken", "made", "saved_s")}
        dearest = {field: max(body[field] for body in bodies) for field in ("make_s", "reset_s")}
        verdict = next((body["verdict"] for body in bodies if body["verdict"]), "")
        rows.append(Objects(ones[0].name, ones[0].service, len(ones), verdict=verdict, **totals, **dearest))
    return sorted(rows, key=lambda row: (-abs(row.saved_s), row.name))
