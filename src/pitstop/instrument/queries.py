"""What the integrations of databases have in common: how a statement, a connection and a wait for one are filed.

Drivers record statements; an ORM above them adds what only it knows, and records statements itself only over a driver
that has no integration. So each statement is recorded once, whichever was imported first.
"""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import fault
from pitstop.model.series import DB, POOL_WAIT
from pitstop.record.caller import line_attrs
from pitstop.record.leaf import leaf
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pitstop.model.record import ChildFields
    from pitstop.record.statements import Dialect

    Reading = tuple[list[ChildFields], int, int]  # where a statement was filed: the list, the place, its start_ns

OK = "ok"
ERROR = "error"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"
WAITED = "database connection"  # of a pool that had none to give
CONNECTED = "new database connection"
WAITED_NS = 1_000_000  # below it a pool has given what it had: bookkeeping, no wait
_READINGS = 1000  # cursors remembered at a time
_LONGEST_BYTES = 20_000  # of a text in bytes that are decoded: more than is looked at

ATTACHED: set[str] = set()
"""Drivers, by the names of their packages, whose statements are recorded in this process."""

CALLER: ContextVar[Mapping[str, object] | None] = ContextVar("pitstop_caller", default=None)
"""The attributes of a statement that a driver's own thread runs for the host's."""


class Driver:
    """Files what one database driver has done: `filed` a statement, `more` what was read of its rows later."""

    def __init__(self, system: str, dialect: Dialect) -> None:
        self.attrs: Mapping[str, object] = MappingProxyType({"db.system": system})
        self.statements = statements(dialect)

    def filed(self, text: Any, outcome: str, start_ns: int, rows: int, context: Any = None) -> Reading | None:
        """File a statement that has just ended. The answer is for `more`, where rows are read later. Never raises."""
        end_ns = perf_counter_ns()
        try:
            attrs = line_attrs(self.attrs)
            if attrs is self.attrs:
                attrs = CALLER.get() or attrs
            if type(text) is not str:
                text = text_of(text, context)
            children = leaf(DB, self.statements[text], outcome, start_ns, end_ns, rows if rows > 0 else 0, attrs)  # noqa: FURB136  half the time
            if children:
                return children, len(children) - 1, start_ns
        except Exception:  # noqa: BLE001  the host goes on
            fault("queries.filed")
        return None

    def named(self, name: str, outcome: str, start_ns: int) -> None:
        """File a command of a fixed name, such as COMMIT, without rows."""
        leaf(DB, name, outcome, start_ns, perf_counter_ns(), 0, self.attrs)

    def connected(self, outcome: str, start_ns: int) -> None:
        """File the making of a connection."""
        leaf(POOL_WAIT, CONNECTED, outcome, start_ns, perf_counter_ns(), 0, self.attrs)


def waited(outcome: str, start_ns: int) -> None:
    """File a wait for a connection of a pool that ends now."""
    leaf(POOL_WAIT, WAITED, outcome, start_ns, perf_counter_ns())


def recording() -> bool:
    """Whether what happens here is recorded at all."""
    return get_current() is not None or RECORDER.on


def more(reading: Reading, rows: int, spent_ns: int) -> None:
    """Add what was read of a statement's rows after it was filed, and the time that took."""
    children, at, begun_ns = reading
    kind, name, outcome, start_ns, end_ns, nbytes, attrs, parent_ns = children[at]
    if start_ns == begun_ns:  # another thread may have added one in between
        children[at] = (kind, name, outcome, start_ns, end_ns + spent_ns, nbytes + rows, attrs, parent_ns)


class Readings(dict[int, "Reading | None"]):
    """Where the statements of cursors were filed that have no room for a mark of ours, by the cursors' ids."""

    def keep(self, cursor: object, reading: Reading | None) -> None:
        """Remember it, in the place of what an earlier cursor left."""
        if len(self) >= _READINGS:
            self.clear()
        self[id(cursor)] = reading

    def add(self, cursor: object, rows: int, spent_ns: int) -> None:
        """`more` for what `cursor` has read."""
        reading = self.get(id(cursor))
        if reading is not None:
            more(reading, rows, spent_ns)


def text_of(query: Any, context: Any) -> str:
    """The text of what a driver takes for a statement: bytes, psycopg's composed SQL, a template string."""
    if isinstance(query, str):
        return str(query)
    if isinstance(query, (bytes, bytearray, memoryview)):
        return bytes(query[:_LONGEST_BYTES]).decode("utf-8", "replace")
    strings = getattr(query, "strings", None)  # of a t-string, which has the values apart
    if strings is not None:
        return "?".join(strings)
    return str(query.as_string(context))


def timed_connect(driver: Driver, connect: Callable[..., Any]) -> Callable[..., Any]:
    """`connect`, recorded."""

    def recorded(*args: Any, **kwargs: Any) -> Any:
        if not recording():
            return connect(*args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            connection = connect(*args, **kwargs)
        except BaseException:
            driver.connected(ERROR, start_ns)
            raise
        driver.connected(OK, start_ns)
        return connection

    return recorded


def timed_connect_async(driver: Driver, connect: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a coroutine function."""

    async def recorded(*args: Any, **kwargs: Any) -> Any:
        if not recording():
            return await connect(*args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            connection = await connect(*args, **kwargs)
        except BaseException:
            driver.connected(ERROR, start_ns)
            raise
        driver.connected(OK, start_ns)
        return connection

    return recorded


def timed_pool(take: Callable[..., Any]) -> Callable[..., Any]:
    """`take`, by which a pool gives a connection; recorded where it had none to give."""

    def recorded(*args: Any, **kwargs: Any) -> Any:
        start_ns = perf_counter_ns()
        try:
            connection = take(*args, **kwargs)
        except BaseException:
            waited(ERROR, start_ns)
            raise
        if perf_counter_ns() - start_ns >= WAITED_NS:
            waited(OK, start_ns)
        return connection

    return recorded


def timed_pool_async(take: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a coroutine function."""

    async def recorded(*args: Any, **kwargs: Any) -> Any:
        start_ns = perf_counter_ns()
        try:
            connection = await take(*args, **kwargs)
        except BaseException:
            waited(ERROR, start_ns)
            raise
        if perf_counter_ns() - start_ns >= WAITED_NS:
            waited(OK, start_ns)
        return connection

    return recorded
