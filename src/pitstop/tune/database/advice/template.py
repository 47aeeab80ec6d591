"""A statement's text with places for its parameters, however they were written: ``?``, ``$1``, ``%(a)s``, ``:a``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.errors import SettingError
from pitstop.record.lexing import COMMENT_EDGE, PLAIN, TOKEN
from pitstop.record.statements import POSTGRESQL, SQLITE, normalized

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.record.lexing import Dialect

__all__ = ["POSTGRESQL", "SQLITE", "Template", "shortened"]

CUT = "…"  # what a pattern ends with that is longer than is recorded
_SHOWN = 60
_TYPED = re.compile(r"(?i)\b(date|timestamptz|timestamp|time|interval)\s*\Z")  # date '2026-01-01' is recorded as date?


def shortened(text: str, dialect: Dialect) -> str:
    """The beginning of the pattern of `text`, for messages: no value of the host's."""
    pattern = normalized(text, dialect)
    return pattern if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]}…"


class Template(NamedTuple):
    """`pieces` of text; between each two stands a parameter, which `types` casts where it is not empty."""

    pieces: tuple[str, ...]
    types: tuple[str, ...]

    @classmethod
    def of(cls, text: str, dialect: Dialect) -> Template:
        """Raises SettingError when `text` is not one whole statement: nothing may ride along with what is planned."""
        pieces: list[str] = []
        types: list[str] = []
        begin = 0
        for start, end in _parameters(text, dialect):
            before = text[begin:start]
            typed = _TYPED.search(before) if dialect is POSTGRESQL and text[start] == "?" else None
            pieces.append(before[: typed.start()] if typed else before)
            types.append(typed[1] if typed else "")
            begin = end
        last = text[begin:].rstrip().rstrip(";")
        return cls((*pieces, last), tuple(types))

    def render(self, place: Callable[[int], str]) -> str:
        """The text with ``place(number)`` for each parameter, which are counted from 1."""
        out = [self.pieces[0]]
        for number, (piece, typed) in enumerate(zip(self.pieces[1:], self.types, strict=True), 1):
            value = place(number)
            out += [f"CAST({value} AS {typed})" if typed else value, piece]
        return "".join(out)


def _parameters(text: str, dialect: Dialect) -> list[tuple[int, int]]:
    """Where parameters stand in `text`."""
    if CUT in text:
        raise SettingError(f"'{shortened(text, dialect)}' is cut off; give the whole statement with --statement")
    found: list[tuple[int, int]] = []
    position = 0
    while (token := TOKEN.match(text, position)) is not None:
        kind = token.lastgroup or ""
        start, position = token.span(kind)
        word = token[kind]
        if kind in {"quote", "dollar"}:
            position = _quote_end(text, word, position, dialect)
        elif kind == "slash":
            position = _comment_end(text, position, dialect)
        elif kind == "dash":
            position = text.find("\n", position) % (len(text) + 1)
        elif word == ";" and text[position:].strip(" \t\r\n;"):
            raise SettingError(f"'{shortened(text, dialect)}' is more than one statement; give one at a time")
        elif kind == "named" or (kind == "const" and word[0] in "?$%"):
            found.append((start, position))
    return found


def _quote_end(text: str, word: str, after: int, dialect: Dialect) -> int:
    if word[0] == "$":
        if dialect is not POSTGRESQL:
            return after
        end = text.find(word, after)
        if end >= 0:
            return end + len(word)
    elif (closed := PLAIN[word].match(text, after)) is not None:
        return closed.end()
    raise SettingError(f"'{shortened(text, dialect)}' has a quote without an end")


def _comment_end(text: str, after: int, dialect: Dialect) -> int:
    depth = 1
    for edge in COMMENT_EDGE.finditer(text, after):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    raise SettingError(f"'{shortened(text, dialect)}' has a comment without an end")
