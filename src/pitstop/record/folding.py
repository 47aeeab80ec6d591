"""Writing a pattern: whitespace between tokens, lists of equal items, rows of VALUES."""

from __future__ import annotations

CUT = "…"
CONST = "?"
NAME = '"'
OPERATOR = "+"
OPEN = frozenset("([")
_CLOSE = frozenset(")]")
_NO_GAP_BEFORE = frozenset(",)];")
_LISTS = {"(": "in", "[": "array"}
_NOWHERE = -1_000_000
_NO_LIST: tuple[int, list[int]] = (_NOWHERE, [])
_LIST_ITEMS = frozenset({CONST, "("})


class Folding:
    """Takes tokens in order and holds what of them is the pattern."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._gap = False  # whitespace or a comment stands before the next token
        self._last = ""  # the last token: a word in lower case, a sign, CONST, NAME or OPERATOR
        self._was_string = False
        self._first = ""  # the first word of the statement
        self._depth = 0
        self._lists: list[tuple[int, list[int]]] = []  # depth of an open list, where its items begin in `_out`
        self._row_depth = _NOWHERE  # of a row of VALUES
        self._row_mark = -1  # where a further row begins in `_out`

    def _finished(self) -> str:
        while self._lists:
            self._close_list()
        if self._row_mark >= 0 and (self._depth >= self._row_depth or self._last == ","):  # cut within further rows
            del self._out[self._row_mark :]
        return "".join(self._out).strip(" ;")

    def _emit(self, token: str, last: str) -> None:
        if self._gap:
            self._gap = False
            if self._out and self._last not in OPEN and token not in _NO_GAP_BEFORE:
                token = " " + token
        self._out.append(token)
        self._last = last
        self._was_string = False

    def _emit_string(self) -> None:
        if self._last == CONST and self._was_string:  # 'a' 'b' is one
            self._gap = False
            return
        self._emit(CONST, CONST)
        self._was_string = True

    def _sign(self, sign: str) -> None:
        if sign in OPEN:
            self._open(sign)
            return
        depth = self._depth
        inner = self._lists[-1] if self._lists else _NO_LIST
        if sign == ",":
            if inner[0] == depth:
                inner[1].append(len(self._out))
            if self._row_depth == depth + 1:
                if self._last == ")":
                    self._row_mark = len(self._out)
                else:
                    self._row_depth = self._row_mark = _NOWHERE
            self._emit(sign, sign)
        elif sign in _CLOSE:
            if inner[0] == depth:
                self._close_list()
            self._emit(sign, sign)
            if self._row_depth == depth and self._row_mark >= 0:
                del self._out[self._row_mark :]
                self._row_mark = -1
            self._depth = depth - 1
        else:
            self._emit(sign, sign)
            if sign == ";":
                self._first = ""

    def _open(self, sign: str) -> None:
        last = self._last
        self._depth += 1
        if last == "values":
            self._row_depth, self._row_mark = self._depth, -1
        elif self._row_depth == self._depth and last != ",":
            self._row_depth = self._row_mark = _NOWHERE
        self._emit(sign, sign)
        if last == _LISTS[sign]:
            self._lists.append((self._depth, [len(self._out)]))

    def _close_list(self) -> None:
        """Of equal items in a row keep one."""
        out = self._out
        _, starts = self._lists.pop()
        if len(starts) == 1:
            return
        kept: list[str] = []
        previous = ""
        for start, end in zip(starts, [*starts[1:], len(out)], strict=True):
            item = "".join(out[start:end])
            bare = item.lstrip(", ")
            if bare != previous or bare[:1] not in _LIST_ITEMS:
                kept.append(item)
                previous = bare
        out[starts[0] :] = kept
