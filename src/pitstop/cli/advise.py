"""``pitstop advise``: which indexes a database should have, and which it should not."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import FINDING, contract, terminal
from pitstop.cli.options import OK, AsJson, From, Last, Service, StoreUrl, To, must_be_there, opened, window_now
from pitstop.model import Batch
from pitstop.model.columns import Reports
from pitstop.model.errors import SettingError, StoreError
from pitstop.model.tuned import ADVICE_REPORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from pitstop.model import Window
    from pitstop.tune.database.advice import Advice, Suggestion, Workload
    from pitstop.tune.database.advice.apply import Done

DEFAULT_ADVISED = "7d"  # a week has every kind of day
MOST_STATEMENTS = 200  # the ones that take most time: what is below takes next to none
_SYNC_DRIVERS = {"asyncpg": "psycopg", "psycopg_async": "psycopg", "aiosqlite": "pysqlite"}
_MOST_REFUSED = 10

_COLUMNS = (
    terminal.Column("#"),
    terminal.Column("what", left=True),
    terminal.Column("table", name=True),
    terminal.Column("gain"),
    terminal.Column("statements"),
)

Database = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="PITSTOP_DATABASE",
        help="postgresql://user@host/name or sqlite:///file.db, as SQLAlchemy has it.",
    ),
]
Statements = Annotated[
    list[str] | None,
    typer.Option("--statement", metavar="SQL", help="Advise on this instead of recorded ones; may be repeated."),
]


def advise(
    database: Database,
    *,
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    statement: Statements = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it, after asking; default: only say what.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For one question to the database.")
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Indexes to make and to drop, for the statements recorded in the last 7d. Exit 1 when there is something to do."""
    from pitstop.tune.database.advice import Workload  # noqa: PLC0415

    if as_json and apply and not yes:
        raise SettingError("--json cannot ask; say --apply --yes, or leave --apply out to see what would be done")
    window = window_now(last or (None if begin else DEFAULT_ADVISED), begin, end)
    work = [Workload(text) for text in statement] if statement else _recorded(store, window, service)
    engine = _engine(database, readonly=True)
    advice = _advised(engine, work, timeout_s)
    engine.dispose()
    _keep(advice, store, service or "")
    if not as_json:
        _print(advice, window if not statement else None, service)
    done = _apply(database, advice, yes=yes) if apply and advice.suggestions else []
    if as_json:
        terminal.print_json(contract.document(None if statement else window, service, advice=_json(advice, done)))
    elif done:
        _print_done(done)
    elif advice.suggestions:
        terminal.say("\nNothing was changed. Run the statements yourself, or let --apply do it.")
    left = [each for each in done if each.error] if done else advice.suggestions
    if left:
        raise typer.Exit(FINDING)


def _recorded(store: str | None, window: Window, service: str | None) -> list[Workload]:
    """The statements that took most time. Raises StoreError when there is no store to read."""
    from pitstop import analyze  # noqa: PLC0415  numpy
    from pitstop.tune.database.advice import Workload  # noqa: PLC0415

    with opened(store) as kept:
        must_be_there(kept)
        rows = analyze.queries(kept, window, service, top=MOST_STATEMENTS)
    return [Workload(row.statement, row.calls, row.total_s, row.rows) for row in rows]


def _engine(url: str, *, readonly: bool) -> Engine:
    """Raises SettingError for what is no URL, a driver that is not installed, a file that is not there."""
    try:
        from sqlalchemy import create_engine  # noqa: PLC0415  only for commands that ask a database
        from sqlalchemy.engine import make_url  # noqa: PLC0415
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415
    except ImportError as error:
        raise SettingError("advise asks databases through SQLAlchemy: pip install sqlalchemy") from error
    try:
        parsed = make_url(url)
        backend, _, driver = parsed.drivername.partition("+")
        driver = _SYNC_DRIVERS.get(driver, driver)
        if backend in {"postgres", "postgresql"}:
            parsed = parsed.set(drivername=f"postgresql+{driver or _postgresql_driver()}")
        elif backend == "sqlite":
            path = Path(parsed.database or "")
            if not path.is_file():
                raise SettingError(f"there is no file '{path}'; --database takes sqlite:///path/to/file.db")
            parsed = parsed.set(drivername="sqlite")
            if readonly:
                parsed = parsed.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})
        return create_engine(parsed)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        if isinstance(error, SettingError):
            raise
        raise SettingError("--database is no URL as postgresql://user@host/name or sqlite:///file.db") from error
    except ImportError as error:
        raise SettingError(f"the database's driver is not installed: pip install {error.name or 'psycopg'}") from error


def _postgresql_driver() -> str:
    from importlib.util import find_spec  # noqa: PLC0415

    return next((name for name in ("psycopg", "psycopg2") if find_spec(name)), "psycopg")


def _advised(engine: Engine, work: Sequence[Workload], timeout_s: float) -> Advice:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from pitstop.tune.database.advice import advise as ask  # noqa: PLC0415

    shown = sys.stderr.isatty()

    def progress(number: int, of: int) -> None:
        if shown:
            sys.stderr.write(f"\rtrying indexes for statement {number + 1} of {of} …")
            sys.stderr.flush()

    try:
        return ask(engine, work, timeout_s=timeout_s, progress=progress)
    except SQLAlchemyError as error:
        reason = (str(getattr(error, "orig", error)).strip().splitlines() or [type(error).__name__])[0]
        raise SettingError(f"the database does not answer: {reason}; see --database and its rights") from error
    finally:
        if shown:
            sys.stderr.write("\r\033[K")


def _keep(advice: Advice, store: str | None, service: str) -> None:
    """In the store, where the dashboard finds it; where there is no store it is only printed."""
    reports, now_s = Reports(), int(time.time())
    worker = f"advise-{os.getpid()}-{time.time_ns()}"
    reports.ts, reports.service, reports.worker = [now_s], [service], [worker]
    reports.kind, reports.name, reports.body = [ADVICE_REPORT], [advice.database], [json.dumps(advice.body())]
    with suppress(StoreError):
        with opened(store) as kept:
            if kept.size().state != OK:
                return
        with opened(store, readonly=False) as kept:
            kept.append(Batch(worker, 1, reports=reports))


def _apply(database: str, advice: Advice, *, yes: bool) -> list[Done]:
    from pitstop.tune.database.advice.apply import carry_out  # noqa: PLC0415

    if not yes:
        number = len(advice.suggestions)
        typer.confirm(f"\nRun these {number} statements on {advice.database}?", abort=True, err=True)
    engine = _engine(database, readonly=False)
    done = []
    try:
        for each in carry_out(engine, advice.suggestions):
            done.append(each)
            if sys.stderr.isatty():
                sys.stderr.write(f"{len(done)} of {len(advice.suggestions)} done\n")
    finally:
        engine.dispose()
    return done


def _print(advice: Advice, window: Window | None, service: str | None) -> None:
    from pitstop.analyze.units import cut_middle  # noqa: PLC0415

    if window:
        terminal.say(terminal.title(service, window), style="bold")
    terminal.say(cut_middle(advice.database, terminal.width()), style="bold")
    number = len(advice.suggestions)
    what = "nothing to change" if not number else "1 thing to change" if number == 1 else f"{number} things to change"
    terminal.say(f"{'1 statement' if advice.read == 1 else f'{advice.read} statements'} looked at, {what}")
    if advice.suggestions:
        terminal.say()
        terminal.print_table(_COLUMNS, [_row(at, each) for at, each in enumerate(advice.suggestions, 1)])
    for at, each in enumerate(advice.suggestions, 1):
        terminal.say()
        terminal.say(f"{at} · {each.kind} · {each.table}", style="bold")
        fields = [("why", each.reason), ("gain", each.gain), ("cost", each.cost)]
        fields += [("for", text) for text in each.item()["statements"][:3]]
        terminal.print_fields(fields)
        terminal.print_line(f"{each.sql};")
        if each.undo:
            terminal.print_line(f"-- undo: {each.undo};")
    if advice.refused:
        terminal.say("\ntried, and not worth it", style="bold")
        for text in advice.refused[:_MOST_REFUSED]:
            terminal.say_indented(f"- {text}")
        if len(advice.refused) > _MOST_REFUSED:
            terminal.say_indented(f"… and {len(advice.refused) - _MOST_REFUSED} more: --json has all")


def _row(at: int, each: Suggestion) -> tuple[str, ...]:
    now = f"{each.gain_ratio:,.0f} times" if each.gain_ratio else "–"
    return (str(at), each.kind, each.table, now, str(len(each.statements)))


def _print_done(done: Sequence[Done]) -> None:
    terminal.say()
    for each in done:
        what = f"{each.suggestion.kind} {each.suggestion.name or each.suggestion.table}"
        terminal.say(f"{terminal.status_text('bad' if each.error else 'ok')} {what} {each.error}".rstrip())
    undo = [each.suggestion.undo for each in done if not each.error and each.suggestion.undo]
    if undo:
        terminal.say("To take it back:")
        for text in undo:
            terminal.print_line(f"{text};")


def _json(advice: Advice, done: Sequence[Done]) -> dict[str, object]:
    errors = {each.suggestion.sql: each.error or None for each in done}
    return {
        "database": advice.database,
        "dialect": advice.dialect,
        "statements_read": advice.read,
        "items": [
            each.item()
            | {
                "sql": each.sql,
                "gain_ratio": each.gain_ratio,
                "applied": each.sql in errors,
                "error": errors.get(each.sql),
            }
            for each in advice.suggestions
        ],
        "refused": list(advice.refused),
    }
