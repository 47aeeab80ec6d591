"""Which tables a statement reads and writes, read from its text such that doubt costs hits and never rightness.

What is not understood is not kept, and taken to change every table, unless it is plainly a read. Functions that are not
known may do anything. Schemas are left out: tables of one name in two of them count as one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from pitstop.tune.cache.sqlalchemy.words import (
    ASKING_PRAGMAS,
    ENDS_FROM,
    HARMLESS_FIRST,
    MOMENTS,
    NOT_TWICE,
    PURE,
    TAKES_PARENTHESES,
)

LONGEST: Final = 20_000  # characters; a longer statement is not looked into


class Statement(NamedTuple):
    """`reads` and `writes` are names of tables in lower case. `unsure`: it may change any table.

    `keepable`: its result depends on the tables it reads and on nothing else. `session`: it changes what other
    statements of its connection mean. `past`: for which time it may have reads see an older state, a ``transaction``
    or a ``session``.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    keepable: bool = False
    unsure: bool = False
    session: bool = False
    past: str = ""


UNSURE: Final = Statement(unsure=True)
_HARMLESS: Final = Statement()
_SESSION: Final = Statement(session=True)

_STRINGS: Final = {
    "mysql": r"'(?:[^'\\]|\\.|'')*+'",
    "postgresql": r"[eE]'(?:[^'\\]|\\.|'')*+'|'(?:[^']|'')*+'|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$",
    "sqlite": r"'(?:[^']|'')*+'",
}
_NAMES: Final = {
    "mysql": r"`(?:[^`]|``)*+`",
    "postgresql": r'"(?:[^"]|"")*+"',
    "sqlite": r'"(?:[^"]|"")*+"|`[^`]*+`|\[[^\]]*+\]',
}
_COMMENTS: Final = {
    "mysql": r"--\s[^\r\n]*+|/\*(?!!)(?:(?!\*/).)*+\*/",
    "postgresql": r"--[^\r\n]*+|/\*(?:(?!\*/|/\*).)*+\*/",
    "sqlite": r"--[^\r\n]*+|/\*(?:(?!\*/).)*+\*/",
}
_REFUSED: Final = {"mysql": r'"|\#|--|/\*', "postgresql": r"/\*|U&|'", "sqlite": r"/\*|'"}

_TOKENS: Final = {
    dialect: re.compile(
        rf"(?P<skip>\s++|{_COMMENTS[dialect]})|(?P<unicode>[uU]&['\"])|(?P<const>{_STRINGS[dialect]}|\d[\w.]*+|[:?$@]\w++|\?|%\(\w++\)s|%s)"
        rf"|(?P<name>{_NAMES[dialect]})|(?P<word>[^\W\d][\w$]*+)|(?P<refused>{_REFUSED[dialect]})|(?P<sign>.)",
        re.DOTALL,
    )
    for dialect in _STRINGS
}  # fmt: skip

_HARMLESS_SETS: Final = re.compile(
    r"set\s+(?:local\s+|session\s+|global\s+)?(?:transaction\b|session\s+characteristics\b|statement_timeout\b"
    r"|lock_timeout\b|idle_in_transaction_session_timeout\b|application_name\b|names\b|autocommit\b|max_statement_time\b"
    r"|max_execution_time\b|innodb_lock_wait_timeout\b|foreign_key_checks\b)",
    re.IGNORECASE,
)
_ISOLATES: Final = frozenset(
    {"isolation", "snapshot", "transaction_isolation", "default_transaction_isolation", "tx_isolation"}
)
_CHANGES: Final = frozenset({"insert", "update", "delete", "replace", "merge", "truncate"})


@lru_cache(maxsize=4096)
def understand(text: str, dialect: str, pure: frozenset[str] = frozenset()) -> Statement:
    """What `text` does. `dialect` is SQLAlchemy's name; one that is not known understands nothing.

    `pure` are functions of the host's that only depend on their arguments and change nothing.
    """
    dialect = {"mariadb": "mysql"}.get(dialect, dialect)
    tokens = _tokens(text, dialect) if dialect in _TOKENS and len(text) <= LONGEST else None
    if not tokens or ("sign", ";") in tokens:
        return UNSURE
    first = tokens[0][1]
    if first == "set":
        return (_HARMLESS if _HARMLESS_SETS.match(text.lstrip()) else _SESSION)._replace(past=_past(tokens))
    if first in {"use", "reset", "discard", "attach", "detach"}:
        return _SESSION
    if first == "pragma":
        asks = any(token in ASKING_PRAGMAS for _, token in tokens)
        return _HARMLESS if asks or not {("sign", "="), ("sign", "(")} & set(tokens) else _SESSION
    if first in {"select", "with", "values", "("} | _CHANGES:
        return _Reading(tokens, dialect, pure).run()
    return _HARMLESS._replace(past=_past(tokens)) if first in HARMLESS_FIRST else UNSURE


def _past(tokens: list[tuple[str, str]]) -> str:
    """Of SET, BEGIN and START; which level they set is not looked at."""
    if not any(token in _ISOLATES for _, token in tokens):
        return ""
    is_set, scope = tokens[0][1] == "set", tokens[1][1]
    return "session" if is_set and scope not in {"transaction", "local", "transaction_isolation"} else "transaction"


def _tokens(text: str, dialect: str) -> list[tuple[str, str]] | None:
    """Kinds and texts in lower case; None where something can be read in two ways."""
    tokens: list[tuple[str, str]] = []
    for found in _TOKENS[dialect].finditer(text):
        kind = found.lastgroup or ""
        if kind in {"refused", "unicode"}:
            return None
        if kind == "name":
            tokens.append((kind, found[0][1:-1].lower()))
        elif kind != "skip":
            is_text = kind == "tag"  # of a string between dollars
            tokens.append(("const" if is_text else kind, found[0].lower()))
    while tokens and tokens[-1] == ("sign", ";"):
        tokens.pop()
    return tokens


class _Frame:
    """What is known between two parentheses."""

    __slots__ = ("deletes", "expects", "lists", "reads")

    def __init__(self, *, expects: bool = False) -> None:
        self.reads = False  # there was a SELECT
        self.lists = expects  # in the list behind FROM
        self.expects = expects  # a table comes next
        self.deletes = False


class _Reading:
    """One pass over the tokens of a statement."""

    def __init__(self, tokens: list[tuple[str, str]], dialect: str, pure: frozenset[str]) -> None:
        self._tokens = tokens
        self._dialect = dialect
        self._own = _own_names(tokens)
        self._pure = pure
        self._session = False
        self._reads: set[str] = set()
        self._writes: set[str] = set()
        self._keepable = True
        self._unsure = False
        self._frames = [_Frame()]
        self._at = 0

    def run(self) -> Statement:
        """All of it."""
        while self._at < len(self._tokens) and not self._unsure:
            kind, token = self._tokens[self._at]
            if kind == "sign":
                self._sign(token)
            elif kind == "const" and token.strip("'$ ") in MOMENTS:
                self._keepable = False
            elif kind in {"word", "name"}:
                self._word(kind, token)
            self._at += 1
        if self._unsure or len(self._frames) != 1 or self._frames[0].expects:
            return UNSURE
        several = self._dialect == "mysql" and bool(self._writes)  # UPDATE a, b and DELETE a FROM a, b
        writes = self._writes | self._reads if several else self._writes
        return Statement(
            frozenset(self._reads), frozenset(writes), session=self._session,
            keepable=self._keepable and not writes and bool(self._reads),
        )  # fmt: skip

    def _before(self, steps: int = 1) -> str:
        return self._tokens[self._at - steps][1] if self._at >= steps else ""

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ("", "")

    def _sign(self, sign: str) -> None:
        frame = self._frames[-1]
        if sign == "(":
            self._frames.append(_Frame(expects=frame.expects))
            frame.expects = False
        elif sign == ")":
            if len(self._frames) == 1:
                self._unsure = True
                return
            self._frames.pop()
        elif sign == "," and frame.lists:
            frame.expects = True

    def _word(self, kind: str, token: str) -> None:
        frame = self._frames[-1]
        if frame.expects:
            if kind == "word" and token in {"only", "lateral"}:
                return
            if kind == "word" and token in {"select", "values", "with"}:
                frame.expects = frame.lists = False
            else:
                self._table(self._reads)
                return
        if kind == "word" and self._keyword(frame, token):
            return
        if kind == "word" and token in NOT_TWICE and self._before() != ".":
            self._keepable = False
        elif self._next() == ("sign", "(") and not (kind == "word" and token in TAKES_PARENTHESES):
            self._function(token)

    def _keyword(self, frame: _Frame, word: str) -> bool:  # noqa: C901, PLR0912  one line for each word that matters
        before = self._before()
        if word == "select":
            frame.reads, frame.lists = True, False
        elif word == "from" and before != "distinct" and (frame.reads or frame.deletes):
            if frame.deletes:
                frame.deletes, frame.reads = False, True
                self._at += 1
                self._table(self._writes)
                frame.lists = self._dialect == "mysql"
            else:
                frame.lists = frame.expects = True
        elif word == "from" and (frame.lists or self._writes):  # UPDATE … FROM
            frame.lists = frame.expects = len(self._frames) == 1
        elif word in {"join", "straight_join"} or (word == "using" and self._writes and len(self._frames) == 1):
            frame.lists = frame.expects = self._next() != ("sign", "(") or word != "using"
        elif word == "into":
            self._at += 1
            self._table(self._writes)
        elif word == "delete":
            frame.deletes = before not in {"on", "then"}
        elif word == "update":
            if before == "for" or (before == "key" and self._before(2) == "no"):
                self._keepable = False  # it locks
            elif before not in {"do", "on", "then"} and not (before == "key" and self._before(2) == "duplicate"):
                self._at += 1
                self._table(self._writes)
                frame.lists = self._dialect == "mysql"
        elif word == "truncate" and self._at == 0:
            self._unsure = True
        elif word in {"share", "lock"}:
            self._keepable = False
        elif word in ENDS_FROM:
            frame.lists = False
        else:
            return False
        return True

    def _table(self, into: set[str]) -> None:
        """The name at this place, with its schema; what it is followed by tells a function."""
        tokens, frame = self._tokens, self._frames[-1]
        frame.expects = False
        while self._at < len(tokens) and tokens[self._at] in _MODIFIERS:
            self._at += 1
        if self._at >= len(tokens) or tokens[self._at][0] not in {"word", "name"}:
            self._unsure = True
            return
        while self._next() == ("sign", ".") and self._at + 2 < len(tokens):
            self._at += 2
        name = tokens[self._at][1]
        if into is self._reads and self._next() == ("sign", "("):
            self._function(name)
        elif name not in self._own or into is self._writes:
            into.add(name)

    def _has_time(self) -> bool:
        """Whether a function of SQLite's is told a time; else it takes the one that it is."""
        end = self._at + 2
        while end < len(self._tokens) and self._tokens[end] != ("sign", ")"):
            end += 1
        inside = self._tokens[self._at + 2 : end]
        return ("sign", ",") in inside if self._tokens[self._at][1] == "strftime" else bool(inside)

    def _function(self, name: str) -> None:
        if name in self._own or self._before() in {"as", ")"}:
            return  # an alias with columns
        if name == "set_config":
            self._keepable, self._session = False, True
        elif name in NOT_TWICE or name.startswith(_ABOUT_THE_DATABASE):
            self._keepable = False
        elif name not in PURE and name not in self._pure:
            self._unsure = True
        elif self._dialect == "sqlite" and name in _SQLITE_TIMES and not self._has_time():
            self._keepable = False


_SQLITE_TIMES: Final = frozenset({"date", "time", "datetime", "julianday", "strftime"})
_ABOUT_THE_DATABASE: Final = ("pg_", "has_", "to_reg", "obj_description", "col_description", "format_type", "sqlite_")
_MODIFIERS: Final = frozenset({("word", "only"), ("word", "ignore"), ("word", "low_priority"), ("word", "table")})


def _own_names(tokens: list[tuple[str, str]]) -> frozenset[str]:
    """Names that a statement gives itself: common table expressions."""
    if not any(token == ("word", "with") for token in tokens):
        return frozenset()
    out: set[str] = set()
    for at, (kind, name) in enumerate(tokens):
        if kind not in {"word", "name"} or not at or tokens[at - 1][1] not in {"with", "recursive", ","}:
            continue
        end = at + 1
        if end < len(tokens) and tokens[end] == ("sign", "("):
            while end < len(tokens) and tokens[end] != ("sign", ")"):
                end += 1
            end += 1
        after = [token for _, token in tokens[end : end + 4]]
        if after[:1] == ["as"] and "(" in after[1:] and after[1] in {"(", "materialized", "not"}:
            out.add(name)
    return frozenset(out)
