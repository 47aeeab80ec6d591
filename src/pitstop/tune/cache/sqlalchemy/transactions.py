"""What a connection's transaction has done, and how much of what others commit it sees."""

from __future__ import annotations

from typing import Any, Final

STATE: Final = "pitstop_query_cache"  # in a connection's info


class Transaction:
    """What a connection has done since its transaction began.

    `peculiar` lasts as long as the connection, and so does `past` of a session.
    """

    __slots__ = ("epoch", "past", "peculiar", "statements", "written")

    def __init__(self) -> None:
        self.peculiar = False
        self.written: set[str] = set()
        self.statements = 0
        self.epoch = 0
        self.past = ""

    def ended(self, epoch: int) -> None:
        """And another one begins at this version of the cache."""
        self.epoch = epoch
        self.statements = 0
        if self.past == "transaction":
            self.past = ""


def state_of(connection: Any) -> Transaction:
    """Of the driver's connection that is behind this one."""
    info = connection.info
    state = info.get(STATE)
    if state is None:
        state = info[STATE] = Transaction()
    return state  # type: ignore[no-any-return]  # nobody else writes it


def commits_itself(context: Any) -> bool:
    """Whether every statement of the connection is a transaction of its own."""
    return level_of(context) == "AUTOCOMMIT"


def level_of(context: Any) -> str:
    """The isolation level: the connection's, else the engine's, else the one that its server gave the first one."""
    dialect = context.dialect
    level = (
        context.root_connection.get_execution_options().get("isolation_level")
        or getattr(dialect, "_on_connect_isolation_level", None)
        or getattr(dialect, "default_isolation_level", None)
    )
    return str(level).replace("_", " ").upper()
