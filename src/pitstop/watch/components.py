"""What the service and Pitstop itself depend on: is it there, does it answer, is there room? R35.

Told from what was recorded in the last minutes, so nothing is asked that the service does not ask anyway: a database is
fine when the statements of the service are. What was not asked lately is "no data", not fine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.runtime import DROPPED, OVERHEAD_RATIO, RSS_BYTES, runtime
from pitstop.analyze.stats import is_error
from pitstop.analyze.units import bytes_text, count_text, duration_text, ratio_text
from pitstop.model import Match, StoreError, Window
from pitstop.model.series import CACHE, DB, HTTP_CLIENT, POOL_WAIT, PROBE, QUEUE, TASK
from pitstop.model.watching import DEGRADED, DOWN, NO_DATA, OK, Component
from pitstop.watch import machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pitstop.model import Rollups, Store, StoreSize
    from pitstop.model.watching import Channel
    from pitstop.watch.probes import Probed

LOOKED_S = 300  # calls of the last five minutes
PROBES_S = 900
WORKERS_S = 120  # a worker writes its gauges every ten seconds
FAILING_RATIO = 0.05  # of calls: as many fail no retry hides
DOWN_RATIO = 0.5
FEWEST_CALLS = 5  # below it one failure is an accident
LONG_WAIT_S = 0.1  # for a connection, on average: an answer that waits as long no longer feels instant (R19)
HOPELESS_WAIT_S = 5.0
LARGE_LOG_BYTES = 50_000_000  # five times what begins a checkpoint: nobody does it, or a reader never ends
MUCH_OVERHEAD_RATIO = 0.03  # three times the budget: from there on requests are sampled
_CALLED = ((DB, "database"), (CACHE, "cache"), (HTTP_CLIENT, "outgoing calls"), (QUEUE, "queue"), (TASK, "tasks"))
_RANK = {DOWN: 0, DEGRADED: 1, OK: 2, NO_DATA: 3}


class _Calls(NamedTuple):
    number: int
    failed: int
    sum_ns: int


def components(
    store: Store,
    now_s: float,
    *,
    channels: Sequence[Channel] = (),
    probes: Sequence[str] = (),
    probed: Mapping[str, Probed] | None = None,
) -> list[Component]:
    """Everything, the worst first. Raises nothing: a store that cannot be read is one of the answers.

    `probes` are the names that should have results, `probed` the newest ones of this process, for their words.
    """
    found: list[tuple[str, machine.Found]] = []
    try:
        size = store.size()
        found += [("store", _store(size)), ("housekeeping", _housekeeping(size, now_s))]
        found += _workers(store, int(now_s))
        found += _called(store, int(now_s))
        found += _pools(store, int(now_s))
        found += _probes(store, int(now_s), probes, probed or {})
    except StoreError as error:
        found = [("store", machine.Found(DOWN, str(error)))]
    folder = _folder(store.url)
    if folder is not None:
        found.append(("disk", machine.disk(folder)))
    found.append(("memory", machine.memory_state(machine.memory())))
    found += [(f"channel {one.name}", _channel(one)) for one in channels if one.enabled]
    rows = [Component(name, one.state, one.text, now_s) for name, one in found]
    return sorted(rows, key=lambda row: (_RANK.get(row.state, 1), row.name))


def _folder(url: str) -> Path | None:
    scheme, _, path = url.partition("://")
    return Path(path[1:]).absolute().parent if scheme == "sqlite" else None


def _store(size: StoreSize) -> machine.Found:
    text = f"{bytes_text(size.data_bytes)} and {bytes_text(size.log_bytes)} of log, {count_text(size.series)} series"
    if size.state != OK:
        return machine.Found(DOWN, f"{size.state}; {text}")
    if size.log_bytes > LARGE_LOG_BYTES:
        return machine.Found(DEGRADED, f"{text}: the log is not folded; a long reader, or nobody keeps house")
    return machine.Found(OK, text)


def _housekeeping(size: StoreSize, now_s: float) -> machine.Found:
    if size.lease_holder and size.lease_until_s > now_s:
        return machine.Found(OK, f"done by {size.lease_holder}")
    if not any(table.rows for table in size.tables):
        return machine.Found(OK, "nothing to keep yet")
    return machine.Found(DEGRADED, "nobody does it: it goes on with the next recorded process or 'pitstop serve'")


def _workers(store: Store, now_s: int) -> Iterator[tuple[str, machine.Found]]:
    """What every recorded service's processes say of themselves."""
    for service in store.services():
        seen = runtime(store, Window(now_s - WORKERS_S, now_s + 1), service, step_s=10)
        name = _named(service, "workers")
        if not seen.workers:
            yield name, machine.Found(NO_DATA, f"none was heard of for {duration_text(WORKERS_S)}")
            continue
        memory = sum(gauge.last for gauge in seen.of(RSS_BYTES))
        text = f"{len(seen.workers)} running" + (f", {bytes_text(memory)} of memory" if memory else "")
        lost = int(sum(gauge.last - gauge.values[0] for gauge in seen.of(DROPPED)))
        overhead = max((gauge.last for gauge in seen.of(OVERHEAD_RATIO)), default=0.0)
        if lost > 0:
            text += f"; {count_text(lost)} operations were dropped: raise buffer_size, or look at the store"
        elif overhead > MUCH_OVERHEAD_RATIO:
            text += f"; recording takes {ratio_text(overhead)} of a core and samples requests"
        fine = lost <= 0 and overhead <= MUCH_OVERHEAD_RATIO
        yield name, machine.Found(OK if fine else DEGRADED, text)


def _called(store: Store, now_s: int) -> Iterator[tuple[str, machine.Found]]:
    """What the service calls: databases, caches, other services, queues, and its own tasks."""
    for kind, word in _CALLED:
        for service, calls in _by_service(store.rollups(_lately(now_s), Match(kind=kind), hist=False)).items():
            yield _named(service, word), _judged(calls)


def _lately(now_s: int) -> Window:
    """From a whole minute on: most of it is read from minutes, not from seconds."""
    return Window((now_s - LOOKED_S) // 60 * 60, now_s + 1)


def _judged(calls: _Calls) -> machine.Found:
    ratio = calls.failed / calls.number
    text = (
        f"{count_text(calls.failed)} of {count_text(calls.number)} failed in {duration_text(LOOKED_S)}, "
        f"{duration_text(calls.sum_ns / calls.number / 1e9)} on average"
    )
    if calls.number < FEWEST_CALLS or ratio < FAILING_RATIO:
        return machine.Found(OK, text)
    return machine.Found(DOWN if ratio >= DOWN_RATIO else DEGRADED, text)


def _pools(store: Store, now_s: int) -> Iterator[tuple[str, machine.Found]]:
    """Waits for a connection or a thread; only those that had to wait are recorded."""
    rollups = store.rollups(_lately(now_s), Match(kind=POOL_WAIT), hist=False)
    for service, calls in _by_service(rollups).items():
        mean_s = calls.sum_ns / calls.number / 1e9
        text = f"{count_text(calls.number)} waits in {duration_text(LOOKED_S)}, {duration_text(mean_s)} on average"
        if calls.failed:
            text += f", {count_text(calls.failed)} in vain"
        state = OK
        if calls.number >= FEWEST_CALLS and (mean_s >= LONG_WAIT_S or calls.failed >= FAILING_RATIO * calls.number):
            down = mean_s >= HOPELESS_WAIT_S or calls.failed >= DOWN_RATIO * calls.number
            state = DOWN if down else DEGRADED
            text += ": more connections, or shorter transactions"
        yield _named(service, "pools"), machine.Found(state, text)


def _probes(
    store: Store, now_s: int, names: Sequence[str], probed: Mapping[str, Probed]
) -> Iterator[tuple[str, machine.Found]]:
    """The newest result of each: one failure is degraded, down when the one before failed, too."""
    rollups = store.rollups(Window(now_s - PROBES_S, now_s + 1), Match(kind=PROBE), step_s=10, hist=False)
    results: dict[str, list[tuple[int, bool]]] = {name: [] for name in names}
    for ts, series, count in zip(rollups.ts, rollups.series, rollups.count, strict=True):
        results.setdefault(series.name, []).extend([(ts, is_error(series.outcome))] * min(count, 2))
    for name, runs in results.items():
        runs.sort()
        last = [failed for _, failed in runs[-2:]]
        if not last:
            found = machine.Found(NO_DATA, f"no result in {duration_text(PROBES_S)}")
        elif not last[-1]:
            failed = sum(failed for _, failed in runs)
            found = machine.Found(OK, f"answers; {failed} of {len(runs)} failed in {duration_text(PROBES_S)}")
        else:
            said = probed[name].problem if name in probed and probed[name].problem else "the last one failed"
            found = machine.Found(DOWN if all(last) else DEGRADED, said)
        yield f"probe {name}", found


def _channel(channel: Channel) -> machine.Found:
    if channel.state != OK:
        return machine.Found(channel.state, channel.problem or channel.state)
    waiting = f", {channel.waiting} waiting" if channel.waiting else ""
    dead = f", {channel.dead} given up" if channel.dead else ""
    return machine.Found(OK, f"{channel.sent} sent{waiting}{dead}")


def _by_service(rollups: Rollups) -> dict[str, _Calls]:
    out: dict[str, _Calls] = {}
    for series, count, sum_ns in zip(rollups.series, rollups.count, rollups.sum_ns, strict=True):
        had = out.get(series.service, _Calls(0, 0, 0))
        failed = count if is_error(series.outcome) else 0
        out[series.service] = _Calls(had.number + count, had.failed + failed, had.sum_ns + sum_ns)
    return {service: calls for service, calls in out.items() if calls.number}


def _named(service: str, what: str) -> str:
    return f"{service} {what}".strip()
