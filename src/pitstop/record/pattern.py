r"""The pattern of a statement: its text without literals, comments and accidental whitespace.

Literals and parameters become ``?``, as they become ``$1`` in PostgreSQL's pg_stat_statements: numbers with their sign,
strings of every form, booleans, NULL as a value. Lists after IN and ARRAY keep one of equal items, VALUES its first
row; names of savepoints are left out, because frameworks count them up. Words keep their case, quoted names their
quotes. The first `LOOKED_AT` characters count; ``…`` stands for what is left out.

Nothing that may be a literal comes through. Where the text can be read in two ways (is ``\'`` an escaped quote, is
``"x"`` a string?) and neither dialect nor text decides, what may be a literal is left out, if need be the whole rest.
Time is linear in the length looked at: `pitstop.record.lexing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.record.folding import CONST, CUT, NAME, OPEN, OPERATOR, Folding
from pitstop.record.lexing import (
    BRACKETED,
    COMMENT_EDGE,
    CONSTANTS,
    ESCAPED,
    LINE_END,
    NAMES_AFTER,
    NOT_CONSTANT_AFTER,
    PLAIN,
    PREFIXES,
    SCHEMA,
    TOKEN,
    UNARY_AFTER,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.record.lexing import Dialect

LOOKED_AT = 4096  # characters of a statement: longer ones are lists and literals at their ends


def pattern_of(text: str, dialect: Dialect, looked_at: int = LOOKED_AT) -> str:
    """The pattern of `text`, worked out anew. Applied to its answer it changes nothing."""
    cut = len(text) > looked_at
    text = text[:looked_at]
    scan = _Scan(text, dialect, None)
    pattern = scan.run()
    if scan.ambiguous and dialect.escapes is not None and not cut:
        usual, other = _Scan(text, dialect, dialect.escapes), _Scan(text, dialect, not dialect.escapes)
        decided, _ = usual.run(), other.run()
        if usual.closed and not other.closed:  # a server that reads it the other way would not have run it
            return decided
    elif not scan.closed and not cut:
        return _of_broken(text, dialect)
    return pattern + CUT if cut and not pattern.endswith(CUT) else pattern


def _of_broken(text: str, dialect: Dialect) -> str:
    """Where a quote has no end, one that was meant as text may have ended another: nothing behind the first is sure."""
    first = min(place for place in map(text.find, "'\"`[$") if place >= 0)
    scan = _Scan(text[:first].rstrip(), dialect, None)
    scan.run()
    return scan.with_rest()


class _Scan(Folding):
    """One reading of a text. `escapes`: whether a backslash escapes quotes in plain strings, None to stop at doubt."""

    def __init__(self, text: str, dialect: Dialect, escapes: bool | None) -> None:
        super().__init__()
        self.text = text
        self.dialect = dialect
        self.escapes = escapes
        self.ambiguous = False
        self.closed = True  # every quote has its end
        self._words = ("", "")  # the two last ones
        self._in_body = False  # of an INSERT: behind its columns
        self._in_table = False  # in CREATE TABLE
        self._brackets_seen_to = 0

    def run(self) -> str:
        """The pattern; `ambiguous` and `closed` are known then."""
        text, match, handlers = self.text, TOKEN.match, _HANDLERS
        position, end = 0, len(text)
        while position < end:
            found = match(text, position)
            if found is None:  # only whitespace is left
                break
            kind = found.lastgroup
            assert kind is not None
            start, after = found.span(kind)
            if start > position:
                self._gap = True
            position = handlers[kind](self, text[start:after], after)
        return self._finished()

    def with_rest(self) -> str:
        """The pattern, and that there is more."""
        self._gap = True
        self._leave_rest()
        return self._finished()

    def _leave_rest(self) -> int:
        self._emit(CONST, CONST)
        self._out.append(CUT)
        return len(self.text)

    def _leave_unclosed(self) -> int:
        self.closed = False
        return self._leave_rest()

    def _leave_ambiguous(self) -> int:
        self.ambiguous = True
        return self._leave_rest()

    # words

    def _on_word(self, token: str, after: int) -> int:
        lower = token.lower()
        follows = self.text[after : after + 1]
        if follows == "'" or follows == "&":  # noqa: PLR1714  a set costs more
            end = self._prefixed(lower, follows, after)
            if end is not None:
                return end
        if self._is_constant(lower) if lower in CONSTANTS else self._names_savepoint(lower):
            self._emit(CONST, CONST)
            return after
        if not self._first:
            self._first = lower
        if lower in _BODY:
            self._in_body = True
        elif lower == "table":
            self._in_table = self._first == "create"
        self._emit(token, lower)
        self._words = (self._words[1], lower)
        return after

    def _is_constant(self, lower: str) -> bool:
        last = self._last
        return last not in NOT_CONSTANT_AFTER and last != "." and self._first not in SCHEMA and bool(lower)

    def _names_savepoint(self, lower: str) -> bool:
        last = self._last
        if last == "savepoint":
            return True
        if last not in _SAVEPOINT_AFTER or lower == "savepoint":
            return False
        return self._first == _SAVEPOINT_AFTER[last]

    def _prefixed(self, lower: str, follows: str, after: int) -> int | None:
        """Where the literal ends that the word introduces; None when it is a word by itself."""
        if follows == "&":
            if lower == "u" and self.text[after + 1 : after + 2] == "'":
                return self._string("'", after + 2, escapes=False)
            return None
        if lower in _ORACLE_QUOTES:
            return self._leave_rest()
        if lower in PREFIXES or lower[0] == "_":
            return self._string("'", after + 1, escapes=True if lower == "e" else self.escapes)
        return None

    # quotes

    def _bracketed(self, after: int) -> int | None:
        """Where SQLite's [name] ends; None when the bracket is an array's."""
        if self.dialect.bracket_names is False or after <= self._brackets_seen_to:
            return None
        end = self.text.find("]", after)
        if self.dialect.bracket_names:
            if end < 0:
                return self._leave_unclosed()
            name = self.text[after - 1 : end + 1]
            self._emit(name if BRACKETED.fullmatch(name) else f"[{CONST}]", NAME)
            return end + 1
        self._brackets_seen_to = len(self.text) if end < 0 else end
        inside = self.text[after : self._brackets_seen_to]
        if any(inside.count(quote) % 2 for quote in PLAIN):
            return self._leave_rest()
        return None

    def _on_sign(self, sign: str, after: int) -> int:
        if sign == "[":
            end = self._bracketed(after)
            if end is not None:
                return end
        self._sign(sign)
        return after

    def _on_quote(self, sign: str, after: int) -> int:
        if sign == "'":
            return self._string(sign, after, escapes=self.escapes)
        if sign == "`":
            return self._backquoted(after)
        quoted_strings = self.dialect.quoted_strings
        if quoted_strings:
            return self._string(sign, after, escapes=self.escapes)
        end = self._end_of(sign, after, escapes=None if self.dialect.escapes is None else False)
        if end < 0:
            return self._leave_unclosed() if end == _UNCLOSED else self._leave_ambiguous()
        if quoted_strings is False or self._is_name(end):
            self._name(after - 1, end)
        else:
            self._emit_string()
        return end

    def _name(self, start: int, end: int) -> None:
        if self._names_savepoint(""):
            self._emit(CONST, CONST)
        else:
            self._emit(self.text[start:end], NAME)

    def _backquoted(self, after: int) -> int:
        if self.dialect.dollar_strings:  # PostgreSQL's: there it is no quote
            self._emit("`", OPERATOR)
            return after
        found = PLAIN["`"].match(self.text, after)
        if found is None:
            return self._leave_unclosed()
        end = found.end()
        if self.dialect.escapes is None and any(quote in self.text[after:end] for quote in "'\""):
            return self._leave_rest()
        self._name(after - 1, end)
        return end

    def _is_name(self, end: int) -> bool:
        """Whether double quotes that end at `end` hold a name whatever the dialect."""
        last = self._last
        if last == "." or last in NAMES_AFTER or self.text.startswith(".", end):
            return True
        if last == "by":
            return self._words[0] in _BY
        if last in OPEN or last == ",":
            columns = self._first in _INSERTS and not self._in_body
            definitions = self._in_table and self._depth == 1
            if (columns or definitions) and self._depth:
                return True
        return (last == "set" or (last == "," and self._first == "update" and not self._depth)) and self.text[
            end:
        ].lstrip().startswith("=")

    def _string(self, quote: str, start: int, *, escapes: bool | None) -> int:
        end = self._end_of(quote, start, escapes=escapes)
        if end < 0:
            return self._leave_unclosed() if end == _UNCLOSED else self._leave_ambiguous()
        if self.text[end : end + 1].isalnum():  # 'O'Brien'
            return self._leave_unclosed()
        self._emit_string()
        return end

    def _end_of(self, quote: str, start: int, *, escapes: bool | None) -> int:
        """Behind the closing quote, or _UNCLOSED, or _AMBIGUOUS."""
        text = self.text
        plain = PLAIN[quote].match(text, start)
        end = plain.end() if plain is not None else _UNCLOSED
        if escapes is False or text.find("\\", start, end if plain is not None else len(text)) < 0:
            return end
        escaped = ESCAPED[quote].match(text, start)
        other = escaped.end() if escaped is not None else _UNCLOSED
        return other if escapes or other == end else _AMBIGUOUS

    def _on_dollar(self, sign: str, after: int) -> int:
        if self.dialect.dollar_strings is False:
            self._emit(sign[0], OPERATOR)
            return after - len(sign) + 1
        end = self.text.find(sign, after)
        if end < 0 or self.text[end + len(sign) : end + len(sign) + 1].isalnum():
            return self._leave_unclosed()
        self._emit_string()
        return end + len(sign)

    # comments

    def _on_dash(self, sign: str, after: int) -> int:
        needs_space = self.dialect.dash_needs_space
        if needs_space is not False and not self.text[after : after + 1].isspace() and after < len(self.text):
            if needs_space:
                return self._on_other(sign[0], after - 1)
            return self._line_comment(after, doubtful=True)
        return self._line_comment(after, doubtful=False)

    def _on_hash(self, sign: str, after: int) -> int:
        if self.dialect.hash_comments is False:
            return self._on_other(sign, after)
        return self._line_comment(after, doubtful=self.dialect.hash_comments is None)

    def _line_comment(self, after: int, *, doubtful: bool) -> int:
        """Behind the comment; where it may be none, the rest is left out if it could begin or end a literal."""
        text = self.text
        if self.dialect.dollar_strings:  # PostgreSQL ends a line at a carriage return, too
            found = LINE_END.search(text, after)
            end = found.start() if found is not None else len(text)
        else:
            end = text.find("\n", after)
            end = len(text) if end < 0 else end
            doubtful = doubtful or (self.dialect.dollar_strings is None and 0 <= text.find("\r", after, end) < end - 1)
        if doubtful and any(sign in text[after:end] for sign in _OPENERS):
            return self._leave_rest()
        self._gap = True
        return end

    def _on_slash(self, _: str, after: int) -> int:
        text, nested, open_comments = self.text, self.dialect.nested_comments, 1
        self._gap = True
        for edge in COMMENT_EDGE.finditer(text, after):
            if edge[0] == "*/":
                open_comments -= 1
                if not open_comments:
                    return edge.end()
            elif nested:
                open_comments += 1
            elif nested is None:
                return self._leave_rest()
        return len(text)

    # the rest

    def _on_const(self, _: str, after: int) -> int:
        self._emit(CONST, CONST)
        return after

    def _on_other(self, sign: str, after: int) -> int:
        if (sign == "-" or sign == "+") and self._signs_number(after):  # noqa: PLR1714  a set costs more
            return after
        self._emit(sign, OPERATOR)
        return after

    def _signs_number(self, after: int) -> bool:
        last = self._last
        return self.text[after : after + 1] in _DIGITS and (
            last in {"", ",", OPERATOR} or last in OPEN or last in UNARY_AFTER
        )


_UNCLOSED = -1
_AMBIGUOUS = -2
_DIGITS = frozenset("0123456789.")
_OPENERS = frozenset("'\"`$/")
_BODY = frozenset({"values", "select", "set"})
_INSERTS = frozenset({"insert", "replace"})
_BY = frozenset({"order", "group", "partition"})
_SAVEPOINT_AFTER = {"release": "release", "to": "rollback"}
_ORACLE_QUOTES = frozenset({"q", "nq"})

_HANDLERS: dict[str, Callable[[_Scan, str, int], int]] = {
    "word": _Scan._on_word,  # noqa: SLF001  its own
    "sign": _Scan._on_sign,  # noqa: SLF001
    "const": _Scan._on_const,  # noqa: SLF001
    "named": _Scan._on_const,  # noqa: SLF001
    "other": _Scan._on_other,  # noqa: SLF001
    "quote": _Scan._on_quote,  # noqa: SLF001
    "dollar": _Scan._on_dollar,  # noqa: SLF001
    "dash": _Scan._on_dash,  # noqa: SLF001
    "slash": _Scan._on_slash,  # noqa: SLF001
    "hash": _Scan._on_hash,  # noqa: SLF001
}
