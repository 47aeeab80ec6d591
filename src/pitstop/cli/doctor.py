"""``pitstop doctor``: everything that decides whether recording works here, checked, with what to do about it."""

from __future__ import annotations

import platform
import sqlite3
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer

from pitstop.cli import FINDING, contract, terminal
from pitstop.cli.options import OK, AsJson, StoreUrl, opened, store_url
from pitstop.model.errors import StoreError
from pitstop.model.version import __version__
from pitstop.model.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.analyze import Runtime
    from pitstop.model import Store, StoreSize
    from pitstop.model.settings import Settings

RECENT_S = 3600  # drops and cost of the last hour; older ones are history
SAFE_SQLITE = (3, 51, 3)  # sqlite.org/wal.html: before, a checkpoint racing a write may reset the log wrongly
OLDEST_PYTHON = (3, 11)

FAILED, ABSENT = "failed", "absent"  # states of pitstop.instrument.status

State = Literal["ok", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `text` says what was seen and, unless it is ok, what to do."""

    name: str
    state: State
    text: str


def doctor(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """What is recorded, what is not and why; store, drops, cost and settings. Exit 1 when something is amiss."""
    from pitstop.app import load_settings  # noqa: PLC0415  heavy

    settings = load_settings(store=store)
    checks = [_python(), sqlite_check(sqlite3.sqlite_version_info), *_integrations(), *_of_store(store)]
    if as_json:
        terminal.print_json(
            contract.document(
                None,
                pitstop=__version__,
                checks=[{"name": check.name, "state": check.state, "text": check.text} for check in checks],
                settings=_settings(settings),
            )
        )
    else:
        _print(checks, settings)
    if any(check.state != "ok" for check in checks):
        raise typer.Exit(FINDING)


def _print(checks: list[Check], settings: Settings) -> None:
    terminal.say(f"pitstop {__version__}", style="bold")
    terminal.print_fields([(check.name, f"{terminal.status_text(check.state)}: {check.text}") for check in checks])
    terminal.say()
    columns = (
        terminal.Column("setting", left=True),
        terminal.Column("value", name=True),
        terminal.Column("unit", left=True),
        terminal.Column("from", left=True),
    )
    terminal.print_table(
        columns, [(row["name"], _value_text(row["value"]), row["unit"], row["source"]) for row in _settings(settings)]
    )


def _settings(settings: Settings) -> list[contract.Json]:
    from pitstop.model.settings import SETTINGS  # noqa: PLC0415  with the rest of the settings

    return [
        {
            "name": setting.name,
            "value": settings.values[setting.name],
            "unit": setting.unit,
            "source": settings.sources[setting.name],
        }
        for setting in SETTINGS
    ]


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _python() -> Check:
    text = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("python", "bad", f"{text}; Pitstop needs 3.11 or newer")
    return Check("python", "ok", text)


def sqlite_check(version: tuple[int, ...]) -> Check:
    """Whether this SQLite has the log-reset bug, and what we do about it."""
    text = f"SQLite {'.'.join(map(str, version))}"
    if version < SAFE_SQLITE:
        text += (
            " has the log-reset bug of versions before 3.51.3; Pitstop's checkpoints shut writers out, which avoids it"
        )
    return Check("sqlite", "ok", text)


def _integrations() -> Iterator[Check]:
    """What `pitstop run` and `pitstop.instrument` can attach to in this environment."""
    from pitstop.instrument import status  # noqa: PLC0415  only here

    for row in status():
        if row.state != ABSENT:
            yield Check(row.name, "bad" if row.state == FAILED else "ok", row.text)


def _of_store(url: str | None) -> Iterator[Check]:
    try:
        with opened(url) as store:
            size = store.size()
            yield _store_state(size)
            yield housekeeping(size, time.time())
            yield from recording(store, int(time.time()))
    except StoreError as error:
        yield Check("store", "bad", f"{store_url(url)}: {error}")


def _store_state(size: StoreSize) -> Check:
    from pitstop.analyze.units import bytes_text  # noqa: PLC0415  numpy

    text = f"{size.url}, schema {size.schema}, {bytes_text(size.data_bytes)} and {bytes_text(size.log_bytes)} of log"
    return Check("store", "ok", text) if size.state == OK else Check("store", "bad", f"{text}; {size.state}")


def housekeeping(size: StoreSize, now_s: float) -> Check:
    """Whether somebody folds, prunes and checkpoints."""
    from pitstop.analyze.units import duration_text  # noqa: PLC0415  numpy

    if size.lease_holder and size.lease_until_s > now_s:
        return Check("housekeeping", "ok", f"done by {size.lease_holder}")
    if not any(table.rows for table in size.tables):
        return Check("housekeeping", "ok", "nothing to keep yet")
    since = f"since {duration_text(now_s - size.lease_until_s)}" if size.lease_holder else "yet"
    return Check(
        "housekeeping",
        "warning",
        f"nobody does it {since}: it goes on with the next recorded process or 'pitstop serve'",
    )


def recording(store: Store, now_s: int) -> Iterator[Check]:
    """Who recorded lately, what was lost, and what it cost."""
    from pitstop.analyze import runtime  # noqa: PLC0415  numpy
    from pitstop.analyze.runtime import DROPPED, FOLDED  # noqa: PLC0415

    seen = runtime(store, Window(now_s - RECENT_S, now_s + 1), step_s=10)
    if not seen.workers:
        yield Check("recording", "warning", "no process has recorded in the last hour; start one: pitstop run -- CMD")
        return
    number = len(seen.workers)
    yield Check("recording", "ok", f"{number} {'process' if number == 1 else 'processes'} in the last hour")
    dropped = _lost(seen, DROPPED)
    yield Check(
        "drops",
        "warning" if dropped else "ok",
        f"{dropped} operations were dropped; raise buffer_size, or look whether the store can be written"
        if dropped
        else "none",
    )
    folded = _lost(seen, FOLDED)
    yield Check(
        "series",
        "warning" if folded else "ok",
        f"{folded} operations lost their name to the cap on series; take names from the code, not from the data"
        if folded
        else "none were folded",
    )
    yield _cost(seen)


def _lost(seen: Runtime, name: str) -> int:
    """The count so far of every worker's life, added up."""
    return int(sum(gauge.highest for gauge in seen.of(name)))


def _cost(seen: Runtime) -> Check:
    from pitstop.analyze.runtime import FLUSH_S, OVERHEAD_RATIO, REQUEST_COST_S  # noqa: PLC0415  numpy
    from pitstop.analyze.units import duration_text, ratio_text  # noqa: PLC0415

    parts = []
    for name, what, text in (
        (REQUEST_COST_S, "a request", duration_text),
        (OVERHEAD_RATIO, "of a core", ratio_text),
        (FLUSH_S, "the slowest flush", duration_text),
    ):
        gauges = seen.of(name)
        if gauges:
            parts.append(f"{text(max(gauge.highest if name == FLUSH_S else gauge.last for gauge in gauges))} {what}")
    return Check("cost", "ok", " · ".join(parts) or "not measured yet")
