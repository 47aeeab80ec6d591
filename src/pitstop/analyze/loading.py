"""What would do the work of a repeated statement at once? Told from who seems to have written the statement.

Django quotes every name and qualifies every column (``"shop_order"."id"``); SQLAlchemy qualifies columns by the whole
table name and quotes only where it must (``orders.id AS orders_id``). Whatever else is SQL of the host's own.
"""

from __future__ import annotations

import re

DJANGO = (
    "Django: select_related('…') for a foreign key, prefetch_related('…') for many related rows; the query then "
    "loads them with the first statement, or with one more"
)
SQLALCHEMY = (
    "SQLAlchemy: .options(selectinload(…)) for collections, .options(joinedload(…)) for a single related row; or "
    "lazy='raise' to find every such place"
)
SELECT = "read them at once: a join, or one statement with WHERE … IN (…) for all of them"
INSERT = "write them at once: executemany, or one INSERT with many rows"
CHANGE = "change them at once: one statement with WHERE … IN (…), or executemany"

_DJANGO = re.compile(r"""SELECT (?:DISTINCT )?(["`])\w+\1\.\1\w+\1""")
_SQLALCHEMY = re.compile(r"SELECT (?:DISTINCT )?(\w+)\.\w+[ ,]")
_HINTS = {"INSERT": INSERT, "REPLACE": INSERT, "UPDATE": CHANGE, "DELETE": CHANGE}


def hint(statement: str) -> str:
    """What to do about requests that repeat `statement`."""
    if _DJANGO.match(statement):
        return DJANGO
    qualified = _SQLALCHEMY.match(statement)
    if qualified is not None:
        table = statement.partition(" FROM ")[2].split(" ", 1)[0].rpartition(".")[2]
        if table.rstrip(",") == qualified[1]:
            return SQLALCHEMY
    return _HINTS.get(statement.split(" ", 1)[0].upper(), SELECT)
