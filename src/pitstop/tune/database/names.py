"""Names in SQL that we write ourselves: checked, quoted by the dialect, never taken as they come."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

LONGEST = 63  # PostgreSQL cuts longer ones off silently; MySQL takes 64
_PLAIN = re.compile(r"[^\W\d][\w$]*")


def quoted(dialect: Dialect, name: str) -> str:
    """``schema.table`` or a single name, each part quoted where it must be. Raises SettingError for what is no name."""
    parts = name.split(".")
    if not 1 <= len(parts) <= 2 or not all(_is_name(part) for part in parts):  # noqa: PLR2004  schema and name
        raise SettingError(f"'{name}' is no name: letters, digits, _ and $, at most {LONGEST} of them, or schema.name")
    quote = dialect.identifier_preparer.quote
    return ".".join(quote(part) for part in parts)


def verbatim(sql: str) -> sa.TextClause:
    """`sql` as it is: neither ``:name`` nor ``%`` means anything."""
    return sa.text(sql.replace(":", r"\:"))


def must_be_sync(engine: object) -> None:
    """Raises SettingError for an engine of asyncio's."""
    if hasattr(engine, "sync_engine"):
        raise SettingError("this is an asyncio engine; make one by create_engine for it, or use aexplain and aanalyze")


def _is_name(part: str) -> bool:
    return len(part) <= LONGEST and _PLAIN.fullmatch(part) is not None
