"""Asking MariaDB or MySQL for a plan: in a read-only transaction; what is run has a deadline of the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pitstop.model.errors import SettingError
from pitstop.record.statements import MYSQL
from pitstop.tune.database.plan_mariadb import read_mariadb
from pitstop.tune.database.statement import READING, calls_in, first_word, must_read, read_pattern

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pitstop.model.tuned import PlanBody
    from pitstop.record.lexing import Dialect
    from pitstop.tune.database.question import Question

HARMFUL = frozenset(
    {
        "benchmark",
        "get_lock",
        "is_used_lock",
        "lastval",
        "load_file",
        "master_gtid_wait",
        "master_pos_wait",
        "nextval",
        "release_all_locks",
        "release_lock",
        "setval",
        "sleep",
        "sys_eval",
        "sys_exec",
        "wait_for_executed_gtid_set",
    }
)
"""Built-in functions that do more than answer."""

_ROUTINES = sa.text(
    "SELECT routine_name FROM information_schema.routines"
    " WHERE routine_type = 'FUNCTION' AND lower(routine_name) IN :names"
).bindparams(sa.bindparam("names", expanding=True))


def explain_mariadb(question: Question, *, analyze: bool) -> PlanBody:
    """The plan, run with `analyze`. The transaction is rolled back by the caller."""
    connection = question.connection
    is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    dialect = "mariadb" if is_mariadb else "mysql"
    question = question._replace(pattern=read_pattern(question.text, server_dialect(connection)))
    limit = f"SET STATEMENT max_statement_time={question.timeout_s:.3f} FOR " if is_mariadb else ""
    if first_word(question.pattern) in READING:  # the server does not even explain others in such a transaction
        connection.exec_driver_sql("START TRANSACTION READ ONLY")
    if not analyze:
        return read_mariadb(_text(question.run(f"{limit}EXPLAIN FORMAT=JSON ")), question.text, dialect)
    if not is_mariadb:
        raise SettingError(
            "MySQL tells what it ran only as text, which is not read here; explain the statement instead"
        )
    must_read(question.pattern)
    _must_be_harmless(question)
    return read_mariadb(_text(question.run(f"{limit}ANALYZE FORMAT=JSON ")), question.text, dialect)


def server_dialect(connection: Connection) -> Dialect:
    """How this session reads quotes, which its sql_mode decides."""
    mode = str(connection.exec_driver_sql("SELECT @@sql_mode").scalar()).upper()
    return MYSQL._replace(escapes="NO_BACKSLASH_ESCAPES" not in mode, quoted_strings="ANSI_QUOTES" not in mode)


def _text(rows: Any) -> str:
    found = rows[0][0]
    return found.decode() if isinstance(found, bytes) else str(found)


def _must_be_harmless(question: Question) -> None:
    called = calls_in(question.pattern)
    harmful = sorted(called & HARMFUL)
    harmful += question.connection.execute(_ROUTINES, {"names": sorted(called) or [""]}).scalars()
    if harmful:
        raise SettingError(f"{harmful[0]}() may do more than read, so the statement is not run; explain it instead")
