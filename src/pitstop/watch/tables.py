"""One entry of the rules file, taken apart key by key. Whatever is wrong names the value, the limit and what to write.

Every method raises SettingError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.model.window import parse_duration_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LONGEST_TEXT = 500
_MILLISECONDS = "ms"


class Table:
    """The keys of one `what` (``slo``, ``probe`` …), which stands in `source`."""

    def __init__(self, values: Mapping[str, object], what: str, source: str, known: Sequence[str]) -> None:
        self._values = values
        name = values.get("name")
        self.where = f"{source}: {what} {name!r}" if name else f"{source}: {what}"
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise self.wrong(f"'{unknown[0]}' is no key of it; there are {', '.join(known)}")

    def wrong(self, what: str) -> SettingError:
        """The error that says `what` is wrong, and where."""
        return SettingError(f"{self.where}: {what}")

    def has(self, key: str) -> bool:
        """Whether it is written."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """A text, not empty; None: it has to be there."""
        value = self._values.get(key, default)
        if value is None:
            raise self.wrong(f'{key} is missing: write {key} = "…"')
        if not isinstance(value, str) or (not value.strip() and key in self._values):
            raise self.wrong(f"{key} = {value!r} is no text")
        if len(value) > _LONGEST_TEXT or not value.isprintable():
            raise self.wrong(f"{key} = {value[:40]!r}… is longer than {_LONGEST_TEXT} characters or has control ones")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of `choices`."""
        value = self.text(key, default)
        if value not in choices:
            raise self.wrong(f"{key} = {value!r} is none of {', '.join(choices)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one alone may stand for a list of one. Not written: none."""
        value = self._values.get(key, ())
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) and item for item in items):
            raise self.wrong(f'{key} = {value!r} is no list of texts: write {key} = ["…", "…"]')
        return tuple(items)

    def number(self, key: str, default: float | None, low: float, high: float) -> float:
        """A number of `low` … `high`, both included; None: it has to be there."""
        value = self._values.get(key, default)
        if value is None:
            raise self.wrong(f"{key} is missing: write a number of {low} … {high}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.wrong(f"{key} = {value!r} is no number of {low} … {high}")
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number of `low` … `high`."""
        value = self.number(key, default, low, high)
        if not isinstance(value, int):
            raise self.wrong(f"{key} = {value!r} is no whole number")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(f"{key} = {value!r} is neither true nor false")
        return value

    def seconds(self, key: str, default: float | None, low_s: float, high_s: float) -> float:
        """A length of time in seconds: a number of them, or ``500ms``, ``90s``, ``5m``; None: it has to be there."""
        value = self._values.get(key, default)
        if isinstance(value, str):
            value = self._written_s(key, value)
        if value is None:
            raise self.wrong(f'{key} is missing: write a length of time, as in {key} = "500ms" or "5m"')
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(f'{key} = {value!r} is no length of time: write "500ms" or "5m"')
        if not low_s <= value <= high_s:
            raise self.wrong(f"{key} = {self._values.get(key, default)!r} is outside {low_s:g} s … {high_s:g} s")
        return value

    def _written_s(self, key: str, text: str) -> float:
        number = text.strip().removesuffix(_MILLISECONDS)
        if number != text.strip() and number.replace(".", "", 1).isdecimal():
            return float(number) / 1000
        try:
            return parse_duration_s(text)
        except SettingError as error:
            raise self.wrong(f"{key}: {error}") from None
