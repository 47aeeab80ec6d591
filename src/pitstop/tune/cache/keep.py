"""What is kept of a value: its entry in memory, its sealed envelope below, for how long and under which tags."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import CacheValueError
from pitstop.tune.cache.envelope import Envelope
from pitstop.tune.cache.link import FAILED
from pitstop.tune.cache.memory import Entry
from pitstop.tune.cache.rules import Adaptive
from pitstop.tune.cache.sizes import size_of
from pitstop.tune.cache.steps import Stopped
from pitstop.tune.cache.trend import Trend, choose_ttl_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache.core import Core
    from pitstop.tune.cache.region import Region
    from pitstop.tune.cache.steps import Steps

EARLIEST: Final = 16.0  # Δ·β before the end: one of 10⁷ callers would refresh earlier than that
UNTOLD_S: Final = 5.0  # that memory believes itself where the level below cannot tell of others' changes
OWN_BYTES: Final = 400  # what an entry takes beside its key and value; measured with tracemalloc
SLACK_S: Final = 1.0  # a blob is kept that much longer than it may be served, for clocks that differ


class Negative:
    """Stands for an exception that is remembered instead of a value: a copy of it, which holds no frames."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = bare(error)

    def again(self) -> Exception:
        """One to raise: each caller has its own, with its own frames and notes."""
        return bare(self.error)


def bare(error: Exception) -> Exception:
    """A copy of `error` without its traceback; itself, without, where it has no copy."""
    if type(error) is Stopped:
        inner = bare(error.error)
        return Stopped(inner) if isinstance(inner, StopIteration) else error
    try:
        copied = copy.copy(error)  # calls the type's __init__ with args, which may be those of another signature
        copied.args = error.args
    except Exception:  # noqa: BLE001  the host's __init__ may do what it likes
        copied = error
    if type(copied) is not type(error):
        copied = error
    if copied is not error and hasattr(copied, "__notes__"):
        copied.__notes__ = list(copied.__notes__)
    return copied.with_traceback(None)


class Visit:
    """One lookup under way. `versions` are the tags' at each level, None where they are not known.

    A level that `failed` once is not asked again for the same lookup: it would cost its deadline each time.
    """

    __slots__ = ("epoch", "failed", "key", "level", "mark", "start_ns", "tags", "tenant", "ttl_s", "versions")

    def __init__(self, core: Core, key: str, tags: tuple[str, ...], tenant: str, ttl_s: float | None = None) -> None:
        self.key = key
        self.tags = tags
        self.tenant = tenant
        self.ttl_s = ttl_s
        self.start_ns = core.now_ns()
        self.epoch = core.versions.epoch
        self.mark: object = None
        self.failed: set[int] = set()
        self.level = ""
        self.versions: list[dict[str, int] | None] = [None] * len(core.links)

    def again(self, core: Core) -> Visit:
        """The same for a refresh aside, which begins now."""
        other = Visit(core, self.key, self.tags, self.tenant, self.ttl_s)
        other.versions = list(self.versions)
        return other

    def begin(self, core: Core) -> None:
        """From now on whoever changes the key, or voids a tag, keeps the outcome from being kept."""
        self.mark = core.loading.begin(self.key)
        self.epoch = core.versions.epoch

    def end(self, core: Core) -> None:
        """The outcome is kept, or was not to be."""
        core.loading.end(self.key, self.mark)

    def undisturbed(self, core: Core) -> bool:
        """Whether the outcome may be kept."""
        return core.loading.undisturbed(self.key, self.mark) and core.versions.holds(self.tags, self.epoch)


def entry_of(region: Region, visit: Visit, envelope: Envelope) -> Entry | None:
    """The entry of what a level has, kept in memory; None when it is past its end."""
    core = region.core
    now_ns = core.now_ns()
    age_s = max(0.0, core.now_s() - envelope.made_s)
    if age_s >= envelope.fresh_s + envelope.stale_s:
        return None
    fresh_ns = now_ns + int((envelope.fresh_s - age_s) * 1e9)
    entry = build(
        region, visit, envelope.value, envelope.made_s, fresh_ns, envelope.cost_s,
        negative=envelope.negative, trend=envelope.trend,
    )  # fmt: skip
    if set(envelope.tags) - set(visit.tags):
        entry.tags = tuple(dict.fromkeys((*visit.tags, *envelope.tags)))
    if not all(link.level.tells for link in core.links):  # not only this one: it may stand in for one that is lost
        entry.check_ns = now_ns + int(UNTOLD_S * 1e9)
        entry.soon_ns = min(entry.soon_ns, entry.check_ns)
    if core.loading.undisturbed(visit.key, visit.mark) and core.versions.holds(entry.tags, visit.epoch):
        _put(core, visit, entry)
    return entry


def _put(core: Core, visit: Visit, entry: Entry) -> None:
    """Keep `entry` in memory; not if its key was changed between the look at that and now."""
    core.memory.put(entry)
    if not core.loading.undisturbed(visit.key, visit.mark):  # who voids takes the mark first, and looks here then
        core.memory.drop(visit.key, entry)


def keep(
    region: Region, visit: Visit, value: Any, cost_s: float, old: Entry | None, landed: Callable[[], None]
) -> Steps[Entry]:
    """Keep a value that was just made; `landed` is called as soon as memory has it."""
    core, rules = region.core, region.rules
    made_s = core.now_s()
    negative = value is None or type(value) is Negative
    trend: Trend | None = None
    if visit.ttl_s is not None:
        ttl_s = visit.ttl_s
    elif negative:
        ttl_s = rules.negative_ttl_s
    elif isinstance(rules.ttl_s, Adaptive):
        trend = trend_of(value, made_s, old)
        ttl_s, region.why = choose_ttl_s(trend, cost_s, rules.ttl_s)
    else:
        ttl_s = rules.ttl_s
    region.ttl_s = ttl_s if not negative else region.ttl_s
    stale_s = max(rules.stale_s, rules.stale_if_error_s)
    entry = build(
        region, visit, value, made_s, core.now_ns() + int(ttl_s * 1e9), cost_s,
        negative=negative, trend=trend,
    )  # fmt: skip
    if core.links and not all(link.level.tells for link in core.links):
        entry.check_ns = core.now_ns() + int(UNTOLD_S * 1e9)
        entry.soon_ns = min(entry.soon_ns, entry.check_ns)
    if ttl_s <= 0 or not visit.undisturbed(core):
        landed()
        return entry
    _put(core, visit, entry)
    landed()
    if type(value) is not Negative and core.sealer is not None:
        envelope = Envelope(value, made_s, ttl_s, stale_s, cost_s, negative, visit.tags, (), trend)
        yield from save(region, visit, envelope)
    return entry


def save(region: Region, visit: Visit, envelope: Envelope) -> Steps[None]:
    """Hand a value down to the levels that have told the versions of its tags."""
    core = region.core
    assert core.sealer is not None
    for place, (link, versions) in enumerate(zip(core.links, visit.versions, strict=True)):
        if versions is None or place in visit.failed:
            continue
        try:
            blob = core.sealer.seal(
                visit.key, envelope._replace(versions=tuple(versions[tag] for tag in envelope.tags))
            )
        except CacheValueError as error:
            next(region.stats.errors.up)
            region.complain(error)
            return
        if not visit.undisturbed(core):
            return
        life_s = envelope.fresh_s + envelope.stale_s + SLACK_S
        if (yield from link.ask(region.stats, "save", visit.key, blob, life_s)) is FAILED:
            visit.failed.add(place)


def build(
    region: Region, visit: Visit, value: Any, made_s: float, fresh_ns: int, cost_s: float, *,
    negative: bool, trend: Trend | None,
) -> Entry:  # fmt: skip
    """An entry that is kept nowhere yet."""
    soon_ns = fresh_ns
    if negative:
        soon_ns = 0  # every such lookup is counted, and may have to raise
    elif region.rules.early:
        left_ns = max(0, fresh_ns - region.core.now_ns())
        soon_ns = fresh_ns - min(int(cost_s * region.rules.early * EARLIEST * 1e9), left_ns // 2)
    key = visit.key
    near = key[region.begun :] if key.startswith(region.begin) else None
    return Entry(
        key, value, made_s, soon_ns, fresh_ns, cost_s, size_of(value) + OWN_BYTES + 2 * len(key), visit.tags,
        visit.epoch, negative, trend, region, near,
    )  # fmt: skip


def trend_of(value: Any, made_s: float, old: Entry | None) -> Trend:
    """What the old value and the new one tell of changes."""
    if old is None:
        return Trend()
    try:
        changed = not bool(old.value == value)
    except Exception:  # noqa: BLE001  the host's __eq__ may do what it likes, numpy's answers with an array
        changed = True
    return (old.trend or Trend()).visited(changed=changed, after_s=made_s - old.made_s, hits=old.hits)
