"""The thread that folds what was recorded and writes it, once a second, and never lets the host wait.

Started by the first recorded operation, so that a process that only forks has none. After a fork the child starts its
own. Under gevent it is a real thread, because a busy loop of greenlets must not delay it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.rollup.fold import Finished

INTERVAL_S = 1.0
WAITING_BATCHES = 120  # kept while the store cannot be written: two minutes at one a second
BACKOFF_S = (1.0, 2.0, 5.0, 10.0)

_log = logging.getLogger("pitstop")


class Drained(Protocol):
    """What waited in the recorder (`pitstop.record.recorder.Drained` is one)."""

    @property
    def operations(self) -> Sequence[Finished]: ...  # noqa: D102
    @property
    def counts(self) -> list[tuple[str, float]]: ...  # noqa: D102
    @property
    def gauges(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102
