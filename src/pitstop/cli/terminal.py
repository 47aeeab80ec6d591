"""How answers look in a terminal: tables within 80 columns, status as word, shape and colour."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from pitstop.model import Window

PLAIN_WIDTH = 80  # where the width is not known: what every terminal has
_WIDEST = 120  # a line longer than that is hard to follow
_GAP = 2
_NARROWEST_NAME = 12
_COMFORTABLE_NAME = 40  # below, spare columns make room for it

STATUS = {
    "good": ("✓", "green"),
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "slow": ("◆", "dark_orange"),
    "critical": ("▲", "red"),
    "bad": ("▲", "red"),
    "no data": ("○", "dim"),
    "firing": ("▲", "red"),
    "pending": ("…", "yellow"),
    "resolved": ("✓", "green"),
    "high": ("✓", "green"),
    "low": ("!", "yellow"),
    "none": ("▲", "red"),
    "page": ("▲", "red"),
    "ticket": ("◆", "yellow"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head, with the unit in it.

    When room is short, a column that is `spare` is left out and then the `name`, one in a table, is cut.
    """

    head: str
    left: bool = False
    name: bool = False
    spare: bool = False


def console() -> Console:
    """Standard output; colour only on a terminal and without NO_COLOR (https://no-color.org)."""
    from rich.console import Console  # noqa: PLC0415  only for commands that draw

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PLAIN_WIDTH
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def print_json(document: object) -> None:
    """One JSON document. Raises ValueError rather than write what is no JSON (NaN)."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """`rows` under `columns`: numbers right, words left, the name cut in the middle to fit the width.

    A cell that is a status word (`STATUS`) gets its shape and colour.
    """
    from rich.text import Text  # noqa: PLC0415

    from pitstop.analyze.units import cut_middle  # noqa: PLC0415

    out = console()
    widths = _widths(columns, rows)
    name = max((width for width, column in zip(widths, columns, strict=True) if column.name), default=0)
    room = _room(out.width, widths)
    if room < 0 and name + room < _COMFORTABLE_NAME:
        kept = [i for i, column in enumerate(columns) if not column.spare]
        columns, rows = [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]
        widths = _widths(columns, rows)
    shown = [[_shaped(cell) for cell in row] for row in rows]
    room = _room(out.width, widths)
    for i, column in enumerate(columns):
        if column.name and room < 0:
            widths[i] = max(_NARROWEST_NAME, widths[i] + room)
    out.print(Text(_line([column.head for column in columns], columns, widths), style="bold"))
    for row, raw in zip(shown, rows, strict=True):
        cells = [cut_middle(cell, width) for cell, width in zip(row, widths, strict=True)]
        line = Text()
        for i, column in enumerate(columns):
            cell = cells[i].ljust(widths[i]) if column.left or column.name else cells[i].rjust(widths[i])
            line.append(cell, style=STATUS[raw[i]][1] if raw[i] in STATUS and not column.name else "")
            line.append(" " * _GAP if i + 1 < len(columns) else "")
        line.rstrip()
        out.print(line)


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """A label and its value on each line, the values aligned."""
    width = max(len(label) for label, _ in fields) + _GAP
    out = console()
    for label, value in fields:
        lines = textwrap.wrap(
            printable(value), min(out.width, _WIDEST) - width, break_long_words=False, break_on_hyphens=False
        ) or [""]
        for number, line in enumerate(lines):
            out.print(f"{'' if number else label:{width}}{line}")


def status_text(word: str) -> str:
    """A status word with its shape."""
    return _shaped(word)


def say(text: str = "", style: str = "") -> None:
    """Lines for a person, broken between words to fit the width."""
    out = console()
    for line in map(printable, text.split("\n")):
        out.print(
            textwrap.fill(line, min(out.width, _WIDEST), break_long_words=False, break_on_hyphens=False), style=style
        )


def width() -> int:
    """Columns that an answer may take."""
    return min(console().width, _WIDEST)


def print_line(text: str) -> None:
    """A line as it is, for what is laid out already."""
    console().print(printable(text).rstrip())


def say_indented(text: str, by: int = 2) -> None:
    """`text` set in by `by` columns, broken between words; a word too long for the line is cut in the middle."""
    from pitstop.analyze.units import cut_middle  # noqa: PLC0415

    out = console()
    width = min(out.width, _WIDEST) - by
    words = " ".join(cut_middle(word, width) for word in printable(text).split(" "))
    for line in textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False):
        out.print(" " * by + line)


def printable(text: str) -> str:
    """`text` without characters that would steer the terminal: what is recorded may be hostile."""
    return (
        text
        if text.isprintable()
        else "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    )


def title(service: str | None, window: Window) -> str:
    """What an answer is about: the service and the span, in UTC."""
    from pitstop.analyze.units import length_text, time_text  # noqa: PLC0415

    return (
        f"{service or 'all services'} · {length_text(window.duration_s)} "
        f"from {time_text(window.start_s)} to {time_text(window.end_s)}"
    )


def nothing_recorded(url: str) -> str:
    """What to say where there is nothing, with the next command to type."""
    return (
        f"No requests were recorded in this window in {url}.\n"
        "Ask for a longer one with --last 7d, or record a service: pitstop run -- CMD"
    )


def nothing_of(what: str, url: str) -> str:
    """What to say where there is nothing of one kind, with the next command to type."""
    return (
        f"No {what} were recorded in this window in {url}.\n"
        "Ask for a longer one with --last 7d, or see what is recorded: pitstop doctor"
    )


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max([len(column.head), *(len(_shaped(row[i])) for row in rows)]) for i, column in enumerate(columns)]


def _room(width: int, widths: Sequence[int]) -> int:
    """What is left of the line; negative when it does not fit."""
    return min(width, _WIDEST) - sum(widths) - _GAP * (len(widths) - 1)


def _shaped(cell: str) -> str:
    return f"{STATUS[cell][0]} {cell}" if cell in STATUS else printable(cell)


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    return (
        (" " * _GAP)
        .join(
            cell.ljust(width) if column.left or column.name else cell.rjust(width)
            for cell, column, width in zip(cells, columns, widths, strict=True)
        )
        .rstrip()
    )
