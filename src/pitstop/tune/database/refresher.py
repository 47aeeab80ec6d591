"""Views kept fresh in the background: on a schedule, and soon after something has said that they are out of date."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.record.operation import set_current
from pitstop.rollup.native import allocate_lock, start_thread
from pitstop.tune.database.views import refresh_view, view_age_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from pitstop.rollup.native import Lock
    from pitstop.tune.database.views import View

LONGEST_RETRY_S = 600.0


class Refresher:
    """Refreshes `view` every `every_s` seconds, and after `wake`, at most every `least_s`.

    Start one in each worker: whoever comes first does it, the others see that it is done. `wake` may be given to
    whatever tells of changes and called as often as one likes. A refresh that fails is logged and tried again, after
    twice as long each time.
    """

    def __init__(
        self,
        engine: Engine,
        view: View,
        *,
        every_s: float,
        least_s: float = 5.0,
        now: Callable[[], float] = monotonic,
    ) -> None:
        if every_s <= 0 or least_s < 0:
            raise SettingError(f"every_s = {every_s}, least_s = {least_s}: a schedule needs times above 0")
        self._engine = engine
        self.view = view
        self.every_s = every_s
        self.least_s = least_s
        self._now = now
        self._stopped = False
        self._is_old = False
        self._failures = 0
        self._last_s: float | None = None
        self._bell: Lock = allocate_lock()
        self._bell.acquire()

    def start(self) -> None:
        """In a thread of its own."""
        start_thread(self._run)

    def wake(self, *_: object) -> None:
        """What the view shows has changed. Never waits."""
        self._is_old = True
        self._ring()

    def stop(self) -> None:
        """Refresh no more; a refresh that runs comes to its end."""
        self._stopped = True
        self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _run(self) -> None:
        set_current(None)  # not the work of the request that started it
        while not self._stopped:
            self._bell.acquire(timeout=self.turn())

    def turn(self) -> float:
        """Refresh if it is time; seconds until it is worth looking again."""
        now_s = self._now()
        since_s = now_s - self._last_s if self._last_s is not None else None
        if self._is_old and since_s is not None and since_s < self.least_s:
            return self.least_s - since_s
        try:
            was_old, self._is_old = self._is_old, False
            refresh_view(self._engine, self.view, older_than_s=self.least_s if was_old else self.every_s)
            self._last_s, self._failures = now_s, 0
            age_s = view_age_s(self._engine, self.view.name) or 0.0
        except Exception as error:  # noqa: BLE001  the next one may do
            self._failures += 1
            self._last_s = now_s
            logging.getLogger("pitstop").warning("pitstop: %s; it is tried again", error)
            return min(max(self.least_s, 1.0) * 2.0**self._failures, LONGEST_RETRY_S)
        return max(self.every_s - age_s, self.least_s, 0.01)
