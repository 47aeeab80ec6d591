"""A span of time, ``[start, end)``, Unix seconds, UTC."""

from __future__ import annotations

from typing import NamedTuple

from pitstop.model.errors import SettingError


class Window(NamedTuple):
    """From `start_s`, included, to `end_s`, excluded; both Unix seconds."""

    start_s: int
    end_s: int

    @property
    def duration_s(self) -> int:
        """Its length, seconds."""
        return self.end_s - self.start_s

    def before(self, shift_s: int | None = None) -> Window:
        """The window of equal length that ends where this one starts, or the one `shift_s` earlier."""
        shift = self.duration_s if shift_s is None else shift_s
        return Window(self.start_s - shift, self.end_s - shift)

    def aligned(self, step_s: int) -> Window:
        """The smallest window of whole steps of `step_s` that holds this one."""
        return Window(self.start_s // step_s * step_s, -(-self.end_s // step_s) * step_s)


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST_DIGITS = 9
_LONGEST_S = 3 * 366 * 86_400  # the coarsest tier is kept for two years


def parse_duration_s(text: str) -> int:
    """Seconds of a length such as ``90s``, ``15m``, ``1h``, ``7d`` or ``2w``.

    Raises SettingError for anything else, for zero, and for more than three years.
    """
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in _UNITS_S or not (number.isascii() and number.isdigit()) or len(number) > _MOST_DIGITS:
        raise SettingError(f"'{text}' is no length of time: write a whole number and s, m, h, d or w, as in 15m or 90d")
    seconds = int(number) * _UNITS_S[unit]
    if not 0 < seconds <= _LONGEST_S:
        raise SettingError(f"'{text}' is outside 1s … {_LONGEST_S // 86_400}d")
    return seconds
