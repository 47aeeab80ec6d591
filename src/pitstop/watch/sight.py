"""What can be known at one moment: the store up to then, and what the machine said of itself.

A look is at a moment of a fixed grid and happens `SETTLED_S` after it, when what is written a little late is there.
It sees whole steps of `GRID_S`, so that folding 1-second rows into 10-second ones changes nothing. So whoever looks at
the same moment again, another process or a replay, sees the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model import Match, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import TypeVar

    from pitstop.model import Rollups, Samples, Store
    from pitstop.model.watching import Component
    from pitstop.watch.budgets import Burning

    T = TypeVar("T")

SETTLED_S = 5  # workers write once a second; five of them cover a slow transaction
GRID_S = 10  # the step that fresh rows are folded into: docs/store.md
COARSE_GRID_S = 60  # … and the one that follows after two days, for windows of an hour and more
COARSE_FROM_S = 3600


class Sight:
    """One moment. Reads are made once, however many rules ask.

    `gauges` has figures of this machine at a moment (`pitstop.watch.gauges`), `burning` the burn rates of all
    objectives, `components` the state of everything around. `kept` outlives the moment: for what is dear and changes
    once an hour.
    """

    def __init__(
        self,
        store: Store,
        at_s: int,
        *,
        gauges: Callable[[int], Mapping[str, float]] = lambda _: {},
        burning: Callable[[int], list[Burning]] = lambda _: [],
        components: Callable[[int], list[Component]] = lambda _: [],
        kept: dict[Hashable, object] | None = None,
    ) -> None:
        self.store = store
        self.at_s = at_s
        self._gauges = gauges
        self._burning = burning
        self._components = components
        self._kept = {} if kept is None else kept
        self._read: dict[Hashable, object] = {}

    def end_s(self, over_s: int = 0) -> int:
        """Where windows of `over_s` that are looked at now end, Unix seconds."""
        grid_s = COARSE_GRID_S if over_s >= COARSE_FROM_S else GRID_S
        return self.at_s // grid_s * grid_s

    def window(self, over_s: int) -> Window:
        """The last `over_s` seconds."""
        end_s = self.end_s(over_s)
        return Window(end_s - over_s, end_s)

    def rollups(
        self,
        window: Window,
        *,
        kind: str | None,
        service: str | None = None,
        step_s: int | None = None,
        hist: bool = True,
    ) -> Rollups:
        """Rows of one kind. Raises StoreError."""
        return self.once(
            ("rollups", window, kind, service, step_s, hist),
            lambda: self.store.rollups(window, Match(service=service, kind=kind), step_s=step_s, hist=hist),
        )

    def services(self) -> list[str]:
        """Every service that is known. Raises StoreError."""
        return self.once("services", self.store.services)

    def samples(self, window: Window, names: tuple[str, ...], step_s: int) -> Samples:
        """Gauges of every worker. Raises StoreError."""
        return self.once(
            ("samples", window, names, step_s), lambda: self.store.samples(window, names=names, step_s=step_s)
        )

    def gauges(self) -> Mapping[str, float]:
        """Figures of the machine that watches, by name."""
        return self.once("gauges", lambda: self._gauges(self.at_s))

    def burning(self) -> list[Burning]:
        """The burn rates of every objective. Raises StoreError."""
        return self.once("burning", lambda: self._burning(self.at_s))

    def components(self) -> list[Component]:
        """The state of everything around."""
        return self.once("components", lambda: self._components(self.at_s))

    def once(self, key: Hashable, ask: Callable[[], T]) -> T:
        """What `ask` answers, asked once a moment."""
        if key not in self._read:
            self._read[key] = ask()
        return self._read[key]  # type: ignore[return-value]  # of this key

    def keep(self, key: Hashable, ask: Callable[[], T], most: int = 1024) -> T:
        """What `ask` answers, kept beyond the moment: the key says what it depends on."""
        if key not in self._kept:
            while len(self._kept) >= most:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = ask()
        return self._kept[key]  # type: ignore[return-value]  # of this key
