"""Making values before they are asked for: on start, on schedule, and those that past demand predicts."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import CacheKeyError, CacheValueError, PitstopError, SettingError
from pitstop.record.operation import set_current
from pitstop.record.timing import Span
from pitstop.tune.cache import steps
from pitstop.tune.cache.demand import Demand
from pitstop.tune.cache.envelope import Envelope
from pitstop.tune.cache.keys import escape, shorten
from pitstop.tune.cache.obtain import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pitstop.tune.cache.decorate import Cached
    from pitstop.tune.cache.demand import Call
    from pitstop.tune.cache.memory import Entry
    from pitstop.tune.cache.steps import Steps

MOST: Final = 100  # predicted calls of one function that are made in one go
EVERY_S: Final = 60.0
KEPT_S: Final = 14 * 86_400.0  # for how long what was asked for is remembered by levels

_log = logging.getLogger("pitstop.cache")


class Warmer:
    """Warms one cached function. `given` are calls the host names, as tuples of arguments, or a function of them."""

    def __init__(self, cached: Cached, given: Iterable[Any] | Callable[[], Iterable[Any]] | bool = True) -> None:
        if cached.region.rules.tenant is not None:
            raise SettingError(
                f"{cached.key.name}: warm cannot know whose call to make; leave it out where there are tenants"
            )
        self.cached = cached
        self.demand = Demand()
        self.loop: asyncio.AbstractEventLoop | None = None  # where a coroutine function was last called
        self._given = () if isinstance(given, bool) else given
        core = cached.region.core
        self._key = f"{escape(core.namespace)}:*demand:{shorten(cached.key.name)}"
        self._restored = not core.links

    def remember(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any], old: Entry | None) -> None:
        """A call missed; `old` tells how often it had hit before."""
        at_s = self.cached.region.core.now_s()
        if inspect.iscoroutinefunction(self.cached.function):
            self.loop = asyncio.get_running_loop()
        self.demand.add(key, (args, tuple(kwargs.items())), at_s, 1 if old is None else old.hits + 1)

    def due(self, within_s: float = 0.0, most: int = MOST) -> list[Call]:
        """The calls to be made: those given, then those predicted; without those that are fresh for `within_s` more."""
        cached = self.cached
        core = cached.region.core
        given = self._given() if callable(self._given) else self._given
        calls: list[Call] = [(call if isinstance(call, tuple) else (call,), ()) for call in given]
        calls += self.demand.predict(core.now_s(), most)
        found: dict[str, Call] = {}
        for call in calls:
            try:
                key = cached.key_of("", call[0], dict(call[1]))
            except CacheKeyError as error:
                raise SettingError(f"{call!r:.100} cannot be warmed: {error}") from None
            entry = cached.region.in_memory(key)
            if entry is None or entry.soon_ns <= core.now_ns() + within_s * 1e9:
                found[key] = call
        return list(found.values())

    def warm(self, calls: Iterable[Call], timeout_s: float = EVERY_S) -> int:
        """Make these now, one after the other; how many were. Not in the event loop's thread.

        A coroutine function is called in the loop where it last was; SettingError where that is not known or is over.
        """
        if not inspect.iscoroutinefunction(self.cached.function):
            return steps.run(self.steps(calls))
        if self.loop is None or not self.loop.is_running():
            raise SettingError(
                f"{self.cached.key.name} is a coroutine function; warm it with awarm() where its loop runs"
            )
        return asyncio.run_coroutine_threadsafe(self.awarm(list(calls)), self.loop).result(timeout_s)

    async def awarm(self, calls: Iterable[Call]) -> int:
        """The same for both colours."""
        return await steps.arun(self.steps(calls))

    def steps(self, calls: Iterable[Call]) -> Steps[int]:
        """What `warm` does; a call that raises is logged and left out."""
        cached, made = self.cached, 0
        region = cached.region
        core = region.core
        for args, pairs in calls:
            kwargs = dict(pairs)
            try:
                key = cached.key_of("", args, kwargs)
                visit = cached.visit(key, "", args, kwargs)
                for place, link in enumerate(core.links):
                    versions = yield from link.versions(region.stats, visit.tags)
                    visit.versions[place] = None if versions is None else dict(zip(visit.tags, versions, strict=True))
                flight, leads = core.flights.board(key)
                if leads:
                    old = region.in_memory(key)
                    yield from make(region, visit, _call(cached.function, args, kwargs), flight, old, counted=False)
                    made += 1
            except Exception as error:  # noqa: BLE001  the host's function; whoever asks for it gets to see its error
                _log.warning("warming %s failed: %r", cached.key.name, error)
        return made

    def restore(self) -> Steps[None]:
        """Take up what was asked for before this process began, once."""
        if self._restored:
            return
        self._restored = True
        core = self.cached.region.core
        for link in core.links:
            loaded = yield from link.load(self.cached.region.stats, self._key, ())
            if loaded is None or loaded.blob is None or core.sealer is None:
                continue
            envelope = core.sealer.open(self._key, loaded.blob)
            if envelope is not None:
                try:
                    self.demand.load(envelope.value)
                except (TypeError, ValueError) as error:
                    _log.warning("what was asked of %s cannot be read: %r", self.cached.key.name, error)
                return

    def save(self) -> Steps[None]:
        """Let levels remember what is asked for."""
        core = self.cached.region.core
        if core.sealer is None or not len(self.demand):
            return
        try:
            blob = core.sealer.seal(self._key, Envelope(self.demand.dump(), core.now_s(), KEPT_S, 0.0))
        except CacheValueError:  # arguments that no level takes: prediction is this process' own
            return
        for link in core.links:
            yield from link.ask(self.cached.region.stats, "save", self._key, blob, KEPT_S)


class Schedule:
    """Warms again and again: at once, then every `every_s`, what would end before the next time."""

    def __init__(self, warmers: list[Warmer], every_s: float = EVERY_S, most: int = MOST) -> None:
        if every_s <= 0:
            raise SettingError(f"every_s={every_s}: seconds above 0 are needed")
        self.warmers = warmers
        self.every_s = every_s
        self.most = most
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """In a thread, until `stop`; functions that are coroutines are left to `arun`."""
        self._thread = threading.Thread(target=self._run, name="pitstop cache warming", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)

    async def arun(self) -> None:
        """In the task that awaits this, until it is cancelled; for both colours."""
        while True:
            await steps.arun(self.round(coroutines=True))
            await asyncio.sleep(self.every_s)

    def round(self, *, coroutines: bool) -> Steps[int]:
        """Warm what is due now; how many calls were made."""
        made = 0
        for warmer in list(self.warmers):
            if inspect.iscoroutinefunction(warmer.cached.function) and not coroutines:
                continue
            yield from warmer.restore()
            try:
                calls = warmer.due(self.every_s, self.most)
            except PitstopError as error:
                _log.warning("%s is not warmed: %s", warmer.cached.key.name, error)
                continue
            made += yield from warmer.steps(calls)
            yield from warmer.save()
        return made

    def _run(self) -> None:
        set_current(None)
        while True:
            try:
                with Span("warm caches"):
                    steps.run(self.round(coroutines=False))
            except Exception as error:  # noqa: BLE001  the next round may do better
                _log.warning("warming failed: %r", error)
            if self._stop.wait(self.every_s):
                return


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
    return lambda: function(*args, **kwargs)
