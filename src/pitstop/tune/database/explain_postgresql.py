"""Asking PostgreSQL for a plan.

To be analyzed, a statement must pass three locks: its pattern reads (`statement.must_read`), its plan has no step that
writes or locks and calls nothing volatile — views and SQL functions are unfolded there —, and it runs in a read-only
transaction that is rolled back. Sequences and advisory locks would outlive that: such functions are volatile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pitstop.model.errors import SettingError
from pitstop.tune.database.plan_postgresql import read_postgresql
from pitstop.tune.database.statement import calls_in

if TYPE_CHECKING:
    from pitstop.model.tuned import PlanBody
    from pitstop.tune.database.question import Question

HARMLESS = ("random", "clock_timestamp", "timeofday", "gen_random_uuid", "system", "bernoulli")
"""PostgreSQL's own volatile functions that only answer something else each time, and its ways of TABLESAMPLE."""

_WRITING_STEPS = frozenset({"ModifyTable", "LockRows"})
_READ_ONLY = (
    "SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', '{ms}', true),"
    " set_config('lock_timeout', '{ms}', true), set_config('standard_conforming_strings', 'on', true)"
)
_VOLATILE = sa.text(
    "SELECT DISTINCT proname FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND lower(proname) IN :names"
    " AND NOT (pronamespace = CAST('pg_catalog' AS regnamespace) AND proname IN :harmless) ORDER BY 1"
).bindparams(sa.bindparam("names", expanding=True), sa.bindparam("harmless", list(HARMLESS), expanding=True))


def explain_postgresql(question: Question, *, analyze: bool) -> PlanBody:
    """The plan, run with `analyze`. The transaction has begun and is rolled back by the caller."""
    ms = max(1, round(question.timeout_s * 1e3))
    question.connection.exec_driver_sql(_READ_ONLY.format(ms=ms))  # of this transaction: right behind a pooler, too
    if not analyze:
        return read_postgresql(_document(question.run("EXPLAIN (FORMAT JSON) ")), question.text)
    _must_be_harmless(question, _document(question.run("EXPLAIN (VERBOSE, FORMAT JSON) ")))
    return read_postgresql(_document(question.run("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ")), question.text)


def _document(rows: Any) -> Any:
    found = rows[0][0]
    return json.loads(found) if isinstance(found, str) else found


def _must_be_harmless(question: Question, document: Any) -> None:
    called = calls_in(question.pattern)
    waiting = [document]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            if here.get("Node Type") in _WRITING_STEPS:
                raise SettingError(
                    "only statements that read are run to be analyzed, and this one writes or locks rows"
                )
            called.add(str(here.get("Function Name", "")).lower())
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
        elif isinstance(here, str):
            called |= calls_in(here)
    volatile = question.connection.execute(_VOLATILE, {"names": sorted(called) or [""]}).scalars()
    for name in volatile:
        raise SettingError(
            f"{name}() may do more than read (it is VOLATILE), so the statement is not run; explain it instead"
        )
