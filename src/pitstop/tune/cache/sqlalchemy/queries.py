"""Results of SELECTs kept until a table that they read is changed, by ORM or Core, sync or async (SQLAlchemy ≥ 2.0).

What is kept are the driver's rows, from before SQLAlchemy makes types and objects of them: a hit gives the ORM new
rows to load from, exactly as the database would, and sessions, identity maps and loading options work as ever.

A commit raises one version for each table that its transaction wrote; nothing is looked for. A transaction that has
written a table reads it from the database until it ends, and leaves nothing in the cache. What others write to the
database without this cache is seen when the time to live ends.
"""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import logging
import uuid
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

try:
    import sqlalchemy as sa
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
    from sqlalchemy.util import await_only
except ImportError as error:  # pragma: no cover  the host's choice
    message = "pitstop.tune.cache.sqlalchemy needs SQLAlchemy ≥ 2.0, which is not installed: pip install sqlalchemy"
    raise ImportError(message) from error

from pitstop.model.errors import CacheKeyError, SettingError
from pitstop.tune.cache import steps
from pitstop.tune.cache.slots import Slot
from pitstop.tune.cache.sqlalchemy.statements import understand
from pitstop.tune.cache.sqlalchemy.transactions import STATE, Transaction, commits_itself, level_of, state_of
from pitstop.tune.cache.sqlalchemy.words import MOMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pitstop.tune.cache.cache import Cache
    from pitstop.tune.cache.sqlalchemy.statements import Statement
    from pitstop.tune.cache.steps import Steps

OPTION: Final = "pitstop_cache"
REGION: Final = "sqlalchemy"
MOST_ROWS: Final = 5000  # of a result; a longer one is passed on and not kept
_EVERYTHING: Final = "*"
_PLAIN: Final = frozenset(
    {type(None), bool, int, float, str, bytes, dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID}
)
_MUTABLE: Final = frozenset({list, dict})

_log = logging.getLogger("pitstop.cache")


def cached(statement: Any, ttl_s: float | None = None) -> Any:
    """`statement` with the wish to keep its result: ``session.execute(cached(select(Item), ttl_s=60))``."""
    return statement.execution_options(**{OPTION: True if ttl_s is None else ttl_s})


class QueryCache:
    """Keeps results of statements that are `cached`, of `engine` (sync or async), in a region of `cache`.

    `metadata` names the tables, or several do; statements that read anything else are never kept. `views` are views
    with the tables behind them, `triggers` tables with those that their triggers change, too; foreign keys with ON
    DELETE or ON UPDATE are known from `metadata`. `pure_functions` are functions of the database that change nothing
    and depend on their arguments alone. `tenant` says whose statement it is: tenants never share a result, and a
    statement of no tenant is not kept. Without it, connections that SET something of their own, such as a role or a
    search path, are left alone from then on. `name` tells databases apart that one URL stands for.

    Raises SettingError.
    """

    def __init__(
        self, cache: Cache, engine: Any, metadata: sa.MetaData | Sequence[sa.MetaData], *,
        ttl_s: float = 300.0, region: str = REGION, tenant: Callable[[], str | None] | None = None,
        views: Mapping[str, Iterable[str]] | None = None, triggers: Mapping[str, Iterable[str]] | None = None,
        pure_functions: Iterable[str] = (), most_rows: int = MOST_ROWS, name: str = "",
    ) -> None:  # fmt: skip
        engine = getattr(engine, "sync_engine", engine)
        if not ttl_s > 0 or most_rows < 1:
            raise SettingError(f"{ttl_s=}, {most_rows=}: a time above 0 s and at least one row are needed")
        self.cache = cache
        self.region = cache.region(region, early=0.0)
        self.ttl_s = ttl_s
        self._tenant = tenant
        self._most_rows = most_rows
        self._pure = frozenset(function.lower() for function in pure_functions)
        tables = [metadata] if isinstance(metadata, sa.MetaData) else list(metadata)
        self._known, self._also = _tables_of(tables, triggers or {})
        self._views = {view.lower(): {table.lower() for table in behind} for view, behind in (views or {}).items()}
        self._database = name or _name_of(engine)
        self._dialect = engine.dialect.name
        self._async = bool(engine.dialect.is_async)
        self._pending: WeakKeyDictionary[Any, tuple[Slot, int, bool]] = WeakKeyDictionary()
        self._attach(engine)

    def _attach(self, engine: Any) -> None:
        if getattr(engine.dialect, STATE, None) is not None:
            raise SettingError("this engine has a QueryCache: use that one")
        setattr(engine.dialect, STATE, self)
        sa.event.listen(engine, "begin", self._begun)
        sa.event.listen(engine, "do_execute", self._do_execute)
        sa.event.listen(
            engine, "do_execute_no_params", lambda cursor, text, context: self._do_execute(cursor, text, (), context)
        )
        sa.event.listen(engine, "after_cursor_execute", self._executed)
        sa.event.listen(engine, "handle_error", self._failed)
        dialect = engine.dialect
        # Events come before the commit; what is to be voided is voided after it, lest a reader keeps what it still saw.
        ends = {"do_commit": self._committed, "do_commit_twophase": self._committed}
        ends |= {"do_rollback": self._rolled_back, "do_rollback_twophase": self._rolled_back}
        for method, then in ends.items():
            setattr(dialect, method, _followed(getattr(dialect, method), then))

    # Transactions.

    def _begun(self, connection: Any) -> None:
        state = state_of(connection)
        state.written.clear()
        state.ended(self.cache.core.versions.epoch)

    def _committed(self, connection: Any) -> None:
        state = state_of(connection)
        if state.written:
            written, state.written = state.written, set()
            self._void(written)
        state.ended(self.cache.core.versions.epoch)

    def _rolled_back(self, connection: Any) -> None:
        state = state_of(connection)
        state.written.clear()
        state.ended(self.cache.core.versions.epoch)

    def _wrote(self, context: Any, statement: Statement) -> None:
        state = state_of(context.root_connection)
        if statement.session and self._tenant is None:
            state.peculiar = True
        written = {_EVERYTHING} if statement.unsure else self._with_dependents(statement.writes)
        if not written:
            return
        if commits_itself(context):
            self._void(written)
        else:
            state.written |= written

    def _with_dependents(self, tables: Iterable[str]) -> set[str]:
        out: set[str] = set()
        left = list(tables)
        while left:
            table = left.pop()
            if table not in out:
                out.add(table)
                left += self._also.get(table, ())
        return out

    def _void(self, tables: Iterable[str]) -> None:
        tags = [self._tag(table) for table in tables]
        try:
            if self._async:
                await_only(self.cache.ainvalidate(*tags, how="event"))
            else:
                self.cache.invalidate(*tags, how="event")
        except sa.exc.MissingGreenlet:  # a connection that is let go of outside of an event loop
            self.cache.invalidate(*tags, how="event")
        except Exception:  # noqa: BLE001  the host goes on
            _log.exception("changes of %s could not be told to the cache", sorted(tables))

    def void(self, *tables: str) -> None:
        """Forget the results of statements that read one of these tables: for what others have written."""
        self.cache.invalidate(*(self._tag(table.lower()) for table in self._with_dependents(tables)), how="event")

    async def avoid(self, *tables: str) -> None:
        """`void` for asyncio."""
        tags = [self._tag(table.lower()) for table in self._with_dependents(tables)]
        await self.cache.ainvalidate(*tags, how="event")

    def _tag(self, table: str) -> str:
        return f"table:{self._database}:{table}"

    # Statements.

    def _do_execute(self, cursor: Any, text: str, parameters: Any, context: Any) -> bool:
        """Whether the rows are there already: the driver is not asked, then."""
        try:
            slot = self._slot(text, parameters, context)
            if slot is None:
                return False
            slot.visit.ttl_s = self._ttl_s(context)
            value = self._run(slot.look())
            if value is None:
                self._run(slot.begin())
                self._pending[context] = slot, self.cache.core.now_ns(), self._sees_the_past(context)
                return False
            description, rows, mutable = value
            slot.hit()
            slot.end()
            context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                cursor,
                alternate_description=[tuple(column) for column in description],
                initial_buffer=copy.deepcopy(rows) if mutable else rows,
            )
        except Exception:  # noqa: BLE001  the host goes on
            _log.exception("the query cache failed; the database is asked")
            return False
        return True

    def _do_execute_plain(self, cursor: Any, text: str, context: Any) -> bool:
        return self._do_execute(cursor, text, (), context)

    def _slot(self, text: str, parameters: Any, context: Any) -> Slot | None:  # noqa: PLR0911  each is a reason not to
        """Where the result of this statement is kept, None where it is not."""
        wish = context.execution_options.get(OPTION)
        if not wish or context.executemany or context._is_server_side:  # noqa: SLF001  there is no other way to know
            return None
        statement = understand(text, self._dialect, self._pure)
        state = state_of(context.root_connection)
        if not statement.keepable or state.peculiar:
            return None
        reads: set[str] = set()
        for table in statement.reads:
            behind = self._views.get(table)
            if behind is None and table not in self._known:
                return None  # a view, a foreign table: nobody tells when it changes
            reads |= behind or {table}
        if state.written and (_EVERYTHING in state.written or reads & state.written):
            return None  # the transaction is to see what it wrote itself
        tenant = None
        if self._tenant is not None:
            tenant = self._tenant()
            if not tenant:
                return None
        if _names_a_moment(parameters):
            return None
        tags = [self._tag(table) for table in (*reads, _EVERYTHING)]
        try:
            return Slot(self.region, (self._database, text, parameters), tenant=tenant, tags=tags)  # type: ignore[arg-type]  # a key may be any value
        except CacheKeyError:
            return None

    def _ttl_s(self, context: Any) -> float:
        wish = context.execution_options[OPTION]
        return self.ttl_s if wish is True else float(wish)

    def _executed(
        self, _connection: Any, cursor: Any, text: str, _parameters: Any, context: Any, _executemany: bool
    ) -> None:
        try:
            state = state_of(context.root_connection)
            pending = self._pending.pop(context, None)
            if pending is not None:
                slot, start_ns, past = pending
                try:
                    cost_s = (self.cache.core.now_ns() - start_ns) / 1e9
                    self._keep(cursor, context, state, slot, cost_s, past=past)
                finally:
                    slot.end()
            state.statements += 1
            statement = understand(text, self._dialect, self._pure)
            if statement.past and state.past != "session":
                state.past = statement.past
            if statement.writes or statement.unsure or statement.session:
                self._wrote(context, statement)
        except Exception:  # noqa: BLE001  the host goes on
            _log.exception("the query cache failed after a statement; its result is not kept")

    def _keep(self, cursor: Any, context: Any, state: Transaction, slot: Slot, cost_s: float, *, past: bool) -> None:
        slot.missed()
        if cursor.description is None:
            return
        rows = [tuple(row) for row in cursor.fetchall()]
        description = cursor.description
        context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
            cursor, alternate_description=description, initial_buffer=rows
        )
        core = self.cache.core
        if len(rows) > self._most_rows:
            return
        if past:
            if core.links:  # whose versions were asked for later than the transaction began
                return
            slot.visit.epoch = min(slot.visit.epoch, state.epoch)
        kinds = {type(value) for row in rows for value in row}
        if not kinds <= _PLAIN | _MUTABLE:
            return
        mutable = not kinds.isdisjoint(_MUTABLE)
        columns = tuple(_column(column) for column in description)
        kept = copy.deepcopy(rows) if mutable else rows
        self._run(slot.fill((columns, tuple(kept), mutable), slot.visit.ttl_s or self.ttl_s, cost_s))

    def _sees_the_past(self, context: Any) -> bool:
        """Whether the transaction still sees what was there when it began, and not what was committed since."""
        connection = context.root_connection
        state = state_of(connection)
        if not state.statements:
            return False  # it begins with this statement
        if self._dialect == "sqlite":  # as long as the driver has not begun one, every statement sees the newest
            return bool(getattr(connection.connection.driver_connection, "in_transaction", True))
        return bool(state.past) or level_of(context) not in {"READ COMMITTED", "READ UNCOMMITTED", "AUTOCOMMIT"}

    def _failed(self, failure: Any) -> None:
        pending = self._pending.pop(failure.execution_context, None) if failure.execution_context is not None else None
        if pending is not None:
            pending[0].end()

    def _run(self, todo: Steps[Any]) -> Any:
        return await_only(steps.arun(todo)) if self._async else steps.run(todo)


def _names_a_moment(parameters: Any) -> bool:
    """Whether a parameter may be read as the time that it is: ``date(?)`` of 'now'."""
    values = parameters.values() if isinstance(parameters, dict) else parameters
    return any(isinstance(value, str) and value.strip().lower() in MOMENTS for value in values)


def _followed(original: Callable[..., Any], then: Callable[[Any], None]) -> Callable[..., Any]:
    """`original`, a method of a dialect that takes a connection, and whatever comes of it, `then`."""

    def run(connection: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(connection, *args, **kwargs)
        finally:
            try:
                then(connection)
            except Exception:  # noqa: BLE001  the host goes on
                _log.exception("the query cache failed at the end of a transaction")

    return run


def _column(column: Sequence[Any]) -> tuple[Any, ...]:
    """A column's name and type code (PEP 249); the rest is not needed, and may not leave the process."""
    code = column[1] if len(column) > 1 else None
    return (column[0], code if isinstance(code, int) else None, None, None, None, None, None)


def _tables_of(
    metadata: Iterable[sa.MetaData], triggers: Mapping[str, Iterable[str]]
) -> tuple[frozenset[str], dict[str, set[str]]]:
    """Names of all tables, and which others a change of each changes, too."""
    known: set[str] = set()
    also: dict[str, set[str]] = {}
    for tables in metadata:
        for table in tables.tables.values():
            known.add(table.name.lower())
            for key in table.foreign_keys:
                acts = {(key.ondelete or "").upper(), (key.onupdate or "").upper()}
                if acts - {"", "NO ACTION", "RESTRICT"}:
                    parent = key.target_fullname.rsplit(".", 2)[-2].lower()
                    also.setdefault(parent, set()).add(table.name.lower())
    for name, changed in triggers.items():
        also.setdefault(name.lower(), set()).update(table.lower() for table in changed)
    return frozenset(known), also


def _name_of(engine: Any) -> str:
    url = engine.url
    if engine.dialect.name == "sqlite" and url.database in {None, "", ":memory:"}:
        return f"memory-{uuid.uuid4().hex}"  # each such database is one of its own
    return str(url.set(password=None).render_as_string(hide_password=True))
