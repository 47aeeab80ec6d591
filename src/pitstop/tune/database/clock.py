"""How long SQLite works for a statement: it has no deadline of its own, but asks now and then whether to go on."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.database.slow import SlowStatements

CLOCK: Final = "pitstop_clock"  # in the info of a connection
INSTRUCTIONS = 10_000  # of SQLite's machine between two looks: some 0.1 ms
_PAUSE_S = 0.25  # between two looks: longer is the host's own time between rows, not SQLite's work


class Clock:
    """The time that SQLite has worked for the running statement, over all its rows.

    A statement that is slow by `slow` is offered to it, once, in whichever thread SQLite runs.
    """

    def __init__(self, slow: SlowStatements) -> None:
        self._slow = slow
        self._limit_s: float | None = None
        self._context: Any = None
        self._seen_s = 0.0
        self.spent_s = 0.0

    def start(self, limit_s: float | None, context: Any) -> None:
        """A statement begins, which SQLAlchemy knows as `context`; it may take `limit_s`."""
        self._limit_s = limit_s
        self._context = context
        self.spent_s = 0.0
        self._seen_s = monotonic()

    def look(self) -> bool:
        """For SQLite: whether to stop the statement."""
        now_s = monotonic()
        self.spent_s += min(now_s - self._seen_s, _PAUSE_S)
        self._seen_s = now_s
        context = self._context
        if context is not None and self._slow.is_slow(self.spent_s):
            self._context = None
            self._slow.offer(context.statement, context.parameters[0], self.spent_s)
        return self._limit_s is not None and self.spent_s > self._limit_s

    def install(self, connection: Any, info: dict[Any, Any]) -> None:
        """On a DBAPI connection of sqlite3 or aiosqlite, with its `info`."""
        info[CLOCK] = self
        set_handler(connection, self.look)


def set_handler(connection: Any, handler: Callable[[], bool] | None) -> None:
    """Have SQLite ask `handler` whether to stop; of aiosqlite's connections in their own thread."""
    run_async = getattr(connection, "run_async", None)
    if run_async is not None:
        run_async(lambda held: held.set_progress_handler(handler, INSTRUCTIONS))
    else:
        connection.set_progress_handler(handler, INSTRUCTIONS)
