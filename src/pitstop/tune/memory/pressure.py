"""What to give up when memory becomes short, in this order: caches, measurements, requests.

Whoever can give something up says so with `on_pressure`; a limiter refuses with 503 and Retry-After what is less
important. Levels rise at once and fall only when there is clearly room again.
"""

from __future__ import annotations

import gc
import logging
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pitstop.model.errors import SettingError
from pitstop.model.tuned import PRESSURE_REPORT, PressureBody
from pitstop.record.recorder import RECORDER
from pitstop.record.reports import Report, add_reporter, remove_reporter, tell
from pitstop.tune.giving import shrink_all
from pitstop.tune.limit.limiter import Priority
from pitstop.tune.memory.limits import Room, Rooms
from pitstop.tune.memory.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pitstop.tune.limit.limiter import Limiter

    Action = Callable[["Level"], object]

EVERY_S: Final = 1.0
CALM_READINGS: Final = 5  # in a row below, before a level is left
MARGIN_RATIO: Final = 0.03  # below the level's own threshold, or it flaps


class Level(IntEnum):
    """How short memory is."""

    NONE = 0
    ELEVATED = 1  # caches shrink
    HIGH = 2  # measurements are shed, the least important requests refused
    CRITICAL = 3  # only important requests are served


THRESHOLDS: Final = {Level.ELEVATED: 0.80, Level.HIGH: 0.90, Level.CRITICAL: 0.95}
"""Of the limit. Kubernetes' guides alert at 0.80 to 0.90; above 0.95 one large answer may be one too many."""


KEPT: Final = {Level.NONE: 1.0, Level.ELEVATED: 0.98, Level.HIGH: 0.9, Level.CRITICAL: 0.5}
"""Of what caches hold, at each reading: half of it is gone after 35, 7 and 1 seconds."""


class _Giver(NamedTuple):
    name: str
    at: Level
    act: Callable[[Level], object]
    calm: Callable[[], object] | None


class Pressure:
    """Reads how much memory is left every second (60 µs), and has those give up who can. For one process.

    `read` answers how much there is; a test gives its own.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Room | None] | None = None,
        thresholds: dict[Level, float] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self.thresholds = THRESHOLDS | (thresholds or {})
        ordered = [self.thresholds[level] for level in (Level.ELEVATED, Level.HIGH, Level.CRITICAL)]
        if ordered != sorted(ordered) or not 0 < ordered[0] <= ordered[-1] <= 1:
            raise SettingError(f"thresholds have to rise within (0, 1], and are {ordered}")
        self.level = Level.NONE
        self.room: Room | None = None
        self._read = read or Rooms()
        self._calm = 0
        self._givers: list[_Giver] = []
        self._shed: list[str] = []
        self._rounds = Rounds(every_s, self.step)
        self._reached = Level.NONE  # at the last reading; `level` is left only after some calm ones
        self.on_pressure("caches", lambda _: shrink_all(KEPT[self._reached]))
        self.on_pressure("profiler", _measure_less, at=Level.HIGH, calm=_measure_again)

    def on_pressure(
        self,
        name: str,
        act: Callable[[Level], object],
        *,
        at: Level = Level.ELEVATED,
        calm: Callable[[], object] | None = None,
    ) -> None:
        """Call ``act(level)`` when `at` is reached and at each level above it, and ``calm()`` when it is over.

        Every reading again while it lasts, so that a cache can give up more. What they raise is logged.
        """
        self._givers.append(_Giver(name, at, act, calm))

    def guard(self, limiter: Limiter) -> None:
        """Have `limiter` refuse low priorities when memory is high, and all but high and critical when critical."""

        def shut(level: Level) -> None:
            gate = Priority.NORMAL if level == Level.CRITICAL else Priority.LOW
            limiter.shut(gate, f"memory is {self.level.name.lower()}")

        self.on_pressure(f"requests of {limiter.name}", shut, at=Level.HIGH, calm=lambda: limiter.shut(None))

    def start(self) -> Pressure:
        """From now on, in a thread, across forks."""
        self.step()
        add_reporter(self.reports)
        self._rounds.start()
        return self

    def stop(self) -> None:
        """No more; what was given up is taken back."""
        self._rounds.stop()
        remove_reporter(self.reports)
        self._enter(Level.NONE)

    def step(self) -> None:
        """One reading, and what follows."""
        self.room = self._read()
        ratio = 0.0 if self.room is None else self.room.ratio
        reached = max((level for level, least in self.thresholds.items() if ratio >= least), default=Level.NONE)
        self._reached = reached
        if reached > self.level:
            self._enter(reached)
        elif self.level and ratio < self.thresholds[self.level] - MARGIN_RATIO:
            self._calm += 1
            if self._calm >= CALM_READINGS:
                self._enter(reached)
        else:
            self._calm = 0
        self._act()

    def _enter(self, level: Level) -> None:
        before, self.level, self._calm = self.level, level, 0
        for giver in self._givers:
            if level < giver.at <= before and giver.calm is not None:
                self._call(giver.name, giver.calm)
        if level == before:
            return
        if level > before:
            gc.collect(1)  # what is quick to be had; a full one would stop everybody when they are needed
        if self.room is not None:
            tell("pressure", f"memory is {level.name.lower()}: {self.room.ratio:.0%} of {self.room.source} in use")

    def _act(self) -> None:
        level = self.level
        self._shed = [giver.name for giver in self._givers if Level.NONE < giver.at <= level]
        for giver in self._givers:
            if giver.name in self._shed:
                self._call(giver.name, partial(giver.act, level))

    def _call(self, name: str, function: Callable[[], object]) -> None:
        try:
            function()
        except Exception:  # one that fails must not keep the others from giving up
            logging.getLogger("pitstop").exception("pitstop: %s could not give up memory", name)

    def reports(self) -> Iterable[Report]:
        """How it stands."""
        now = self.room
        body = PressureBody(
            level=self.level.name.lower(),
            used_bytes=now.used_bytes if now else 0,
            limit_bytes=now.limit_bytes if now else None,
            source=now.source if now else "",
            shed=list(self._shed),
        )
        return [Report(PRESSURE_REPORT, "", body)]


def _measure_less(_level: Level) -> None:
    RECORDER.pressed = True


def _measure_again() -> None:
    RECORDER.pressed = False
