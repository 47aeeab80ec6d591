"""The options that reading commands share: which store, which service, which span of time, which form."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Annotated

import typer

from pitstop.model.errors import SettingError, StoreUnavailableError
from pitstop.model.window import Window, parse_duration_s

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pitstop.model import Store

OK = "ok"  # the state of a store that can be used
DEFAULT_LAST = "15m"  # what the dashboard opens with, too
_LATEST_S = 253_402_300_799  # the end of the year 9999, where calendars end

StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="Where measurements are; else PITSTOP_STORE, else sqlite:///pitstop.db."
    ),
]
Service = Annotated[str | None, typer.Option("--service", metavar="NAME", help="Only this service; default all.")]
Route = Annotated[str | None, typer.Option("--route", metavar="NAME", help="Only this route, as in 'GET /items/{id}'.")]
Last = Annotated[
    str | None,
    typer.Option("--last", metavar="LENGTH", help=f"Up to now: 90s, 1h, 7d …; default {DEFAULT_LAST}."),
]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Begin: ISO 8601 (UTC if no zone) or Unix s.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="End, excluded; default now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as docs/json.md has it.")]


def parse_time_s(text: str) -> int:
    """Unix seconds of an ISO 8601 time, or of Unix seconds themselves. Raises SettingError for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise SettingError(
                f"'{text}' is no time: write ISO 8601, as in 2026-03-01T12:00 (UTC) or …+01:00, or Unix seconds"
            ) from None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds <= _LATEST_S:
        raise SettingError(f"'{text}' is outside 1970 … 9999; Unix times are seconds, not milliseconds")
    return int(seconds)


def window_of(last: str | None, begin: str | None, end: str | None, now_s: float) -> Window:
    """The span that is asked for. Raises SettingError when it is empty or said twice."""
    if last is not None and begin is not None:
        raise SettingError("--last and --from both say when to begin; leave one out")
    end_s = int(now_s) + 1 if end is None else parse_time_s(end)  # the running second counts
    begin_s = end_s - parse_duration_s(last or DEFAULT_LAST) if begin is None else parse_time_s(begin)
    if begin_s >= end_s:
        raise SettingError(f"--from {begin} is not before --to {end or 'now'}; turn them round")
    return Window(max(begin_s, 0), end_s)


def window_now(last: str | None, begin: str | None, end: str | None) -> Window:
    """`window_of` with this moment as now."""
    return window_of(last, begin, end, time.time())


def store_url(url: str | None) -> str:
    """The store to use: the option, else the environment, ``pitstop.toml`` and the default."""
    if url:
        return url
    from pitstop.app import load_settings  # noqa: PLC0415  heavy

    return load_settings().text("store")


def must_be_there(store: Store) -> None:
    """Raises StoreUnavailableError when there is nothing to read, before anything else is done."""
    state = store.size().state
    if state != OK:
        raise StoreUnavailableError(state)


@contextmanager
def opened(url: str | None, *, readonly: bool = True) -> Iterator[Store]:
    """The store, closed at the end. Raises SettingError, or StoreError when it cannot be read."""
    from pitstop.app import open_store  # noqa: PLC0415  heavy

    store = open_store(store_url(url), readonly=readonly)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def written(output: Path | None) -> Iterator[IO[str]]:
    """The file `output`, or standard output. Raises SettingError when it cannot be written."""
    if output is None:
        yield sys.stdout
        return
    try:
        file = output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise SettingError(f"'{output}' cannot be written ({error.strerror}); choose another --output") from error
    with file:
        yield file
