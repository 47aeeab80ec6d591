"""Keeping house while a dashboard runs: the lease's holder folds tiers, deletes what is old, checkpoints."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from typing import TYPE_CHECKING

from pitstop.model import StoreError

if TYPE_CHECKING:
    from pitstop.model import Store

EVERY_S = 5.0
LEASE_S = 20.0  # four rounds: a holder that dies is replaced within this time
_STOP_S = 5.0
_log = logging.getLogger("pitstop")


class Housekeeper:
    """A thread that runs `store.upkeep()` every few seconds while it holds the lease.

    `retention_s` None: the store's own.
    """

    def __init__(self, store: Store, retention_s: int | None = None, every_s: float = EVERY_S) -> None:
        self._store = store
        self._retention_s = retention_s
        self._every_s = every_s
        self._pid = 0
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._complained = ""

    def ensure(self) -> None:
        """Run in this process: after a fork the child gets a thread of its own. Cheap when it runs already."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._end = threading.Event()
        holder = f"dashboard:{os.getpid()}:{secrets.token_hex(3)}"
        self._thread = threading.Thread(
            target=self._keep, args=(holder, self._end), name="pitstop-housekeeper", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the round it is in."""
        self._end.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(_STOP_S)

    def _keep(self, holder: str, end: threading.Event) -> None:
        while True:
            try:
                if self._store.lease(holder, LEASE_S):
                    self._store.upkeep(retention_s=self._retention_s)
                self._complained = ""
            except StoreError as error:
                if str(error) != self._complained:
                    self._complained = str(error)
                    _log.warning("pitstop: housekeeping waits: %s", error)
            except Exception:  # noqa: BLE001  a fault of ours must not leave the store without housekeeping for good
                _log.exception("pitstop: housekeeping failed and goes on")
            if end.wait(self._every_s):
                return
