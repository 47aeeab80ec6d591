"""The life of a lookup: find, serve, refresh, make anew. Written once; see `pitstop.tune.cache.steps`.

Early refresh is XFetch (Vattani, Chierichetti, Lowenstein: Optimal probabilistic cache stampede prevention, VLDB 2015):
a caller refreshes at once if now − Δ·β·ln(random) is past the end, Δ being what making the value took.
"""

from __future__ import annotations

import contextlib
import math
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from pitstop.tune.cache.flights import Wait
from pitstop.tune.cache.keep import Negative, entry_of, keep
from pitstop.tune.cache.link import FAILED
from pitstop.tune.cache.steps import Compute, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache.flights import Flight
    from pitstop.tune.cache.keep import Visit
    from pitstop.tune.cache.memory import Entry
    from pitstop.tune.cache.region import Region
    from pitstop.tune.cache.steps import Steps

    Spawn = Callable[[str, Callable[[], Steps[Any]]], bool]


LEASE_S: Final = 30.0  # for a recomputation in another process; after that its owner is taken for dead
PIECE_S: Final = 1.0  # waiting for another process is asked anew as often, should its word be lost

HIT, STALE, MISS, ERROR = "hit", "stale", "miss", "error"

MAKING: ContextVar[frozenset[str]] = ContextVar("pitstop_making", default=frozenset())
"""Keys whose value is being made here: asked for one of these, a function is called without waiting for itself."""


def fetch(region: Region, visit: Visit) -> Steps[Entry | None]:  # noqa: C901  every way to have nothing stands here
    """What the first level that answers has, kept in memory then; None where it has nothing that may be served.

    Levels below that one are not believed: other machines' changes reach those above only. They are asked for versions,
    so that what is made then is saved there, too, for when the others do not answer.
    """
    core = region.core
    answered = False
    for place, link in enumerate(core.links):
        if place in visit.failed:
            continue
        if answered:
            versions = yield from link.versions(region.stats, visit.tags)
            if versions is None:
                visit.failed.add(place)
            else:
                visit.versions[place] = dict(zip(visit.tags, versions, strict=True))
            continue
        loaded = yield from link.load(region.stats, visit.key, visit.tags)
        if loaded is None:
            visit.failed.add(place)
            continue
        answered = True
        known = visit.versions[place] = dict(zip(visit.tags, loaded.versions, strict=True))
        if loaded.blob is None or core.sealer is None:
            continue
        envelope = core.sealer.open(visit.key, loaded.blob)
        if envelope is None:
            next(region.stats.errors.up)
            region.stats.last_error = f"{link.name}: a blob that was not sealed by us, for this key"
            continue
        more = [tag for tag in envelope.tags if tag not in known]
        if more:
            versions = yield from link.versions(region.stats, more)
            if versions is None:
                answered = False
                continue
            known.update(zip(more, versions, strict=True))
        if any(known[tag] != version for tag, version in zip(envelope.tags, envelope.versions, strict=True)):
            continue
        entry = entry_of(region, visit, envelope)
        if entry is not None:
            visit.level = link.name
            return entry
    return None


def obtain(  # noqa: C901, PLR0911, PLR0912  a decision table reads best in one place
    region: Region, visit: Visit, compute: Callable[[], Any], spawn: Spawn
) -> Steps[Any]:
    """The value of `visit.key`, made by `compute` where there is none to be served."""
    core, rules, stats = region.core, region.rules, region.stats
    deadline_ns = visit.start_ns + int(rules.wait_s * 1e9)
    while True:
        entry = region.in_memory(visit.key)
        if entry is not None and entry.check_ns > core.now_ns():
            visit.level = "memory"
        elif core.links:
            visit.begin(core)
            try:
                entry = (yield from fetch(region, visit)) or entry_if_unasked(region, entry)
            finally:
                visit.end(core)
        now_ns = core.now_ns()
        if entry is not None and now_ns < entry.fresh_ns:
            if not early(region, entry, now_ns):
                return region.served(visit, entry, HIT)
            flight, leads = core.flights.board(visit.key)
            if not leads:
                return region.served(visit, entry, HIT)
            if not rules.stale_s:
                return (yield from make(region, visit, compute, flight, entry))
            aside(region, visit, compute, flight, entry, spawn)
            return region.served(visit, entry, HIT)
        if entry is not None and now_ns < entry.fresh_ns + rules.stale_s * 1e9:
            flight, leads = core.flights.board(visit.key)
            if leads:
                aside(region, visit, compute, flight, entry, spawn)
            return region.served(visit, entry, STALE)
        if visit.key in MAKING.get():
            return (yield Compute(compute))
        flight, leads = core.flights.board(visit.key)
        if leads:
            again = region.in_memory(visit.key)
            if again is not None and again is not entry and core.now_ns() < again.fresh_ns:  # made just now
                core.flights.give_up(visit.key, flight)  # who waits looks there, too: it may be void by now
                visit.level = "memory"
                return region.served(visit, again, HIT)
            return (yield from make(region, visit, compute, flight, entry))
        next(stats.waits.up)
        over = yield Wait(flight, (deadline_ns - core.now_ns()) / 1e9)
        if not over:  # whoever waited that long helps itself
            return region.made(visit, (yield Compute(compute)))
        if flight.landed:
            return region.shared(visit, flight)


def entry_if_unasked(region: Region, entry: Entry | None) -> Entry | None:
    """What memory has and was to be asked for again, where no level answers: better than nothing until it ends."""
    if entry is None or any(link.answers for link in region.core.links):
        return None
    return entry


def early(region: Region, entry: Entry, now_ns: int) -> bool:
    """Whether this caller refreshes a value that is still fresh."""
    if now_ns < entry.soon_ns or not region.rules.early or entry.negative:
        return False
    drawn = 1.0 - region.core.rng.random()  # in (0, 1]
    return now_ns - entry.cost_s * 1e9 * region.rules.early * math.log(drawn) >= entry.fresh_ns


def aside(region: Region, visit: Visit, compute: Callable[[], Any], flight: Flight, entry: Entry, spawn: Spawn) -> None:
    """Make the value anew while nobody waits."""
    own = visit.again(region.core)
    if not spawn(f"refresh {region.name}", lambda: make(region, own, compute, flight, entry, counted=False)):
        region.core.flights.give_up(visit.key, flight)


def make(  # noqa: C901  every way that it can end stands here
    region: Region, visit: Visit, compute: Callable[[], Any], flight: Flight, old: Entry | None,
    *, counted: bool = True,
) -> Steps[Any]:  # fmt: skip
    """Make the value anew, once among all processes; keep it, and give it to everybody who waits.

    Not `counted`: nobody asked for it.
    """
    core, stats = region.core, region.stats
    leased: tuple[int, str] | None = None  # the place of the level, the token
    visit.begin(core)
    flight.current = lambda: visit.undisturbed(core)
    token = MAKING.set(MAKING.get() | {visit.key})
    try:
        if core.links:
            leased, entry = yield from lease(region, visit, old)
            if entry is not None:
                core.flights.land(visit.key, flight, entry.value)
                return region.served(visit, entry, HIT) if counted else entry.value
        if old is not None:
            next(stats.refreshes.up)
        start_ns = core.now_ns()
        value, raised = yield from attempt(region, compute)
        cost_s = (core.now_ns() - start_ns) / 1e9
        stats.recompute.add(cost_s)
        yield from keep(region, visit, value, cost_s, old, lambda: core.flights.land(visit.key, flight, value))
        return region.made(visit, value, raised) if counted else value
    except GeneratorExit:  # nobody carries out steps any more; the lease ends by itself
        leased = None
        raise
    except Exception as error:
        if flight.landed:
            raise
        void = old is None or not (visit.undisturbed(core) and core.valid(old))
        if void or old is None or core.now_ns() >= old.fresh_ns + region.rules.stale_if_error_s * 1e9:
            core.flights.land(visit.key, flight, None, error)
            if counted:
                region.failed(visit)
            raise
        core.flights.land(visit.key, flight, old.value)
        next(stats.errors.up)
        stats.last_error = repr(error)
        outcome = HIT if core.now_ns() < old.fresh_ns else STALE
        return region.served(visit, old, outcome) if counted else old.value
    finally:
        raised = None  # it holds this frame
        if not flight.landed:  # cancelled: another of those who wait leads
            core.flights.give_up(visit.key, flight)
        visit.end(core)
        with contextlib.suppress(ValueError):  # closed by the garbage collector, in whatever context that runs
            MAKING.reset(token)
        if leased is not None and leased[0] not in visit.failed:  # else the lease ends by itself
            yield from core.links[leased[0]].ask(stats, "release", visit.key, leased[1])


def attempt(region: Region, compute: Callable[[], Any]) -> Steps[tuple[Any, Exception | None]]:
    """What `compute` returns; where what it raises is remembered, Negative of that, and that."""
    try:
        return (yield Compute(compute)), None
    except Exception as error:
        if not isinstance(error.error if type(error) is Stopped else error, region.rules.negative_errors):
            raise
        return Negative(error), error


def lease(region: Region, visit: Visit, old: Entry | None) -> Steps[tuple[tuple[int, str] | None, Entry | None]]:
    """The right to make the value, or an entry to serve instead; neither after `wait_s`, or where nobody grants it."""
    core, stats = region.core, region.stats
    start_ns = core.now_ns()
    while True:
        asked = yield from ask_for_lease(region, visit)
        if asked is None:
            return None, None
        place, token = asked
        if token is None:
            if old is not None and core.now_ns() < old.fresh_ns + region.rules.stale_s * 1e9:
                return None, old
            left_s = region.rules.wait_s - (core.now_ns() - start_ns) / 1e9
            next(stats.waits.up)
            if left_s <= 0:
                return None, None
            if (yield from core.links[place].ask(stats, "wait", visit.key, min(PIECE_S, left_s))) is FAILED:
                visit.failed.add(place)
                return None, None
        entry = yield from look_again(region, visit, place, token)
        if entry is not None and core.now_ns() < entry.fresh_ns and (old is None or entry.made_s > old.made_s):
            if token is not None:
                yield from core.links[place].ask(stats, "release", visit.key, token)
            return None, entry
        if token is not None:
            return (place, token), None


def ask_for_lease(region: Region, visit: Visit) -> Steps[tuple[int, str | None] | None]:
    """The place of the first level that answers, and its token or None; None where no level does."""
    for place, link in enumerate(region.core.links):
        if place not in visit.failed:
            token = yield from link.ask(region.stats, "lease", visit.key, LEASE_S)
            if token is not FAILED:
                return place, token
            visit.failed.add(place)
    return None


def look_again(region: Region, visit: Visit, place: int, token: str | None) -> Steps[Entry | None]:
    """What the levels have now: with a lease, too, it may have been made since we looked."""
    try:
        return (yield from fetch(region, visit))
    except GeneratorExit:
        raise
    except BaseException:  # cancelled: nobody else would give the lease back
        if token is not None:
            yield from region.core.links[place].ask(region.stats, "release", visit.key, token)
        raise
