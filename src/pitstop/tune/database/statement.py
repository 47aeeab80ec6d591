"""Which statements may be explained, and which may be run for it: one at a time, and only what reads.

Texts are judged by their patterns, which have neither comments nor literals (`pitstop.record.pattern`). That is the
first of three locks: whatever is let through runs in a read-only transaction that is rolled back, under a deadline.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.record.folding import CUT
from pitstop.record.pattern import pattern_of
from pitstop.record.statements import ANY, MYSQL, POSTGRESQL, SQLITE

if TYPE_CHECKING:
    from pitstop.record.lexing import Dialect

MOST_CHARACTERS = 100_000  # of a statement that is explained
EXPLAINED = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge", "replace"})
READING = frozenset({"select", "with", "values", "table"})
DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}

_WORDS = re.compile(r"[^\W\d][\w$]*+|;|:=|@+")
_QUOTED = re.compile(r'"(?:[^"]|"")*+"|`(?:[^`]|``)*+`')
_CALLS = re.compile(r'(?:"((?:[^"]|"")++)"|`((?:[^`]|``)++)`|\[([^\]]++)\]|([^\W\d][\w$]*+))\s*+\(')
_WRITING = {
    "insert": "it inserts",
    "update": "it updates, or locks rows for it (FOR UPDATE)",
    "delete": "it deletes",
    "merge": "it merges",
    "into": "it writes into a table, file or variable (INTO)",
    ":=": "it sets a variable",
}
_LOCKING = re.compile(r"\bfor (?:key )?share\b|\bfor no key\b|\bin share mode\b")


def dialect_of(name: str) -> Dialect:
    """How SQLAlchemy's dialect `name` reads literals."""
    return DIALECTS.get(name, ANY)


def read_pattern(sql: str, dialect: Dialect) -> str:
    """The pattern of the whole of `sql`. Raises SettingError where it is no single statement that can be explained."""
    if len(sql) > MOST_CHARACTERS:
        raise SettingError(f"the statement has {len(sql):,} characters; at most {MOST_CHARACTERS:,} are explained")
    if "\0" in sql:
        raise SettingError("the statement holds a NUL character; no database takes that")
    if dialect is MYSQL and re.search(r"/\*M?!", sql):
        raise SettingError("the statement holds a comment that the server would run (/*! … */); write it without")
    pattern = pattern_of(sql, dialect, looked_at=MOST_CHARACTERS)
    if not pattern:
        raise SettingError("there is no statement; write one, such as SELECT … WHERE id = :id")
    if CUT in pattern:
        raise SettingError("the statement cannot be read to its end: a quote is open, or ends in doubt; mend it")
    if ";" in _QUOTED.sub("", pattern):
        raise SettingError("there is more than one statement; explain them one by one")
    first = first_word(pattern)
    if first not in EXPLAINED:
        raise SettingError(
            f"a statement that begins with {first.upper() or repr(pattern[:1])} cannot be explained; "
            f"there are {', '.join(sorted(EXPLAINED)).upper()}"
        )
    return pattern


def must_read(pattern: str) -> None:
    """Raises SettingError where a statement of this pattern may change or lock anything: it must not be run."""
    bare = _QUOTED.sub('""', pattern)
    words = [word.lower() for word in _WORDS.findall(bare)]
    reason = "" if first_word(pattern) in READING else f"it begins with {first_word(pattern).upper()}"
    for word in words:
        reason = reason or _WRITING.get(word, "")
    if not reason and _LOCKING.search(" ".join(words)):
        reason = "it locks rows (FOR UPDATE or SHARE)"
    if reason:
        raise SettingError(f"only statements that read are run to be analyzed, and {reason}; explain it instead")


def first_word(pattern: str) -> str:
    """The first word, in lower case; brackets before it do not count."""
    found = re.match(r"[\s(]*+([^\W\d]\w*+)", pattern)
    return found[1].lower() if found is not None else ""


def calls_in(text: str) -> set[str]:
    """Names that stand before a bracket, in lower case: functions, and other words that do no harm."""
    return {"".join(names).replace('""', '"').replace("``", "`").lower() for names in _CALLS.findall(text)}
