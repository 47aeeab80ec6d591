"""Views kept fresh in the background: on a schedule, and soon after something has said that they are out of date."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.record.operation import set_current
from pitstop.rollup.native import allocate_lock, start_thread
from pitstop.tune.database.views import refresh_view, view_ages_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from pitstop.rollup.native import Lock
    from pitstop.tune.database.views import View

LONGEST_RETRY_S = 600.0
_LOOK_S = 0.1  # between two looks, at least, at whether another worker has come to its end


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
        self._woken: tuple[float] | None = None  # when last, until the view is known to have been filled since
        self._failures = 0
        self._last_s: float | None = None
        self._bell: Lock = allocate_lock()
        self._bell.acquire()

    def start(self) -> None:
        """In a thread of its own."""
        start_thread(self._run)

    def wake(self, *_: object) -> None:
        """What the view shows has changed. Never waits."""
        self._woken = (self._now(),)
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
        woken = self._woken
        if woken is not None and since_s is not None and since_s < self.least_s:
            return self.least_s - since_s
        try:
            if woken is not None and self._has_seen(woken, now_s):
                woken = None
            done = refresh_view(
                self._engine, self.view, older_than_s=self.every_s if woken is None else self.least_s
            ).done
            if done:
                self._forget(woken)
            age_s = view_ages_s(self._engine, self.view.name)[0] or 0.0
            self._last_s, self._failures = self._now(), 0
        except Exception as error:  # noqa: BLE001  the next one may do
            self._failures += 1
            self._last_s = self._now()
            logging.getLogger("pitstop").warning("pitstop: %s; it is tried again", error)
            return min(max(self.least_s, 1.0) * 2.0**self._failures, LONGEST_RETRY_S)
        if woken is not None and not done:  # it is too young, or another worker is at it, and may have begun too early
            wait_s = self.least_s - age_s if age_s < self.least_s else self.least_s
            self._last_s -= self.least_s - wait_s
            return max(wait_s, _LOOK_S)
        return max(self.every_s - age_s, self.least_s, 0.01)

    def _has_seen(self, woken: tuple[float], now_s: float) -> bool:
        """Whether a worker has begun to fill the view since we were woken."""
        began_s_ago = view_ages_s(self._engine, self.view.name)[1]
        if began_s_ago is None or began_s_ago >= now_s - woken[0]:
            return False
        self._forget(woken)
        return True

    def _forget(self, woken: tuple[float] | None) -> None:
        """Unless it has been woken again meanwhile."""
        if self._woken is woken:
            self._woken = None
