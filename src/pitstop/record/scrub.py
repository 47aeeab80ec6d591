"""Text with what looks like a value taken out, for those who asked to keep what their exceptions say.

Taken out: quoted strings, addresses, long numbers, and long words with digits, as tokens and keys are. One pass, no
expression that could go back.
"""

from __future__ import annotations

GAP = "…"
LONG_NUMBER = 5  # digits in a row: ids, telephone and card numbers, not status codes or ports
LONG_WORD = 16  # characters: tokens and keys are longer, words that have digits are shorter
_QUOTES = "'\"`"
_WORD_SIGNS = frozenset("@._+-/=:%&?~#$!")


def scrubbed(text: str) -> str:
    """`text` without what looks like a value."""
    out: list[str] = []
    at = 0
    while at < len(text):
        sign = text[at]
        end = at + 1
        if sign in _QUOTES and (at == 0 or not text[at - 1].isalnum()):  # an apostrophe follows a letter
            closing = text.find(sign, end)
            end = len(text) if closing < 0 else closing + 1
            out.append(f"{sign}{GAP}{sign if closing >= 0 else ''}")
        elif sign.isalnum() or sign in _WORD_SIGNS:
            while end < len(text) and (text[end].isalnum() or text[end] in _WORD_SIGNS):
                end += 1
            word = text[at:end]
            out.append(GAP if _is_value(word) else word)
        else:
            out.append(sign)
        at = end
    return "".join(out)


def _is_value(word: str) -> bool:
    if "@" in word or "://" in word:
        return True
    has_digit, row = False, 0
    for sign in word:
        row = row + 1 if sign.isdigit() else 0
        has_digit = has_digit or row > 0
        if row >= LONG_NUMBER:
            return True
    return len(word) >= LONG_WORD and (has_digit or word.count(".") == 2)  # noqa: PLR2004  a JSON web token has two
