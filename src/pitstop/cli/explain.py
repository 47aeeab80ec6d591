"""``pitstop explain``: the plan of a statement, what it gives away, and what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003  typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pitstop.cli import contract, terminal
from pitstop.cli.options import AsJson  # noqa: TC001  typer reads it
from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.tuned import PlanBody

TIMEOUT_S = 15.0
_STDIN = "-"


def explain(
    statement: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL", help="One statement, with :name where values go; - reads it from standard input."
        ),
    ] = None,
    *,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            envvar="DATABASE_URL",
            help="postgresql://user@host/name, mysql://…, sqlite:///file.db; else DATABASE_URL.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="PATH", help="Read the statement from this file.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            metavar="NAME=VALUE",
            help='A value for :name: JSON where it is JSON (5, true, null, "5"), else text.',
        ),
    ] = None,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Run it, if it only reads, in a transaction that is rolled back.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.001, max=3600, help="Stop it after so long.")
    ] = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """How a database runs a statement: its steps, estimates against actuals, the costly path, what to change."""
    sql = _statement(statement, file)
    params = _params(param or [])
    if database is None:
        raise SettingError("which database? Give --database URL, or set DATABASE_URL")
    plan = _asked(database, sql, params, timeout, analyze=analyze)
    if as_json:
        terminal.print_json(contract.document(None, plan=plan))
        return
    from pitstop.tune.database.render import render  # noqa: PLC0415  SQLAlchemy

    for line in render(plan, terminal.width()).split("\n"):
        terminal.print_line(line)
    if plan["findings"]:
        number = len(plan["findings"])
        terminal.say(f"\n{number} finding{'s' * (number > 1)}, marked by !; pitstop advise looks for indexes.")


def _asked(database: str, sql: str, params: dict[str, Any], timeout_s: float, *, analyze: bool) -> PlanBody:
    try:
        import sqlalchemy as sa  # noqa: PLC0415  only this command needs it

        from pitstop.tune import database as tuned  # noqa: PLC0415
        from pitstop.tune.database.address import address_of  # noqa: PLC0415
    except ImportError as error:
        raise SettingError(str(error)) from error
    engine = sa.create_engine(address_of(database), poolclass=sa.pool.NullPool)
    ask = tuned.analyze if analyze else tuned.explain
    try:
        return ask(engine, sql, params, timeout_s=timeout_s)
    except sa.exc.DBAPIError as error:  # what the statement's own faults are is said by `ask`
        raise SettingError(f"the database cannot be reached: {str(error.orig).strip().splitlines()[0]}") from error


def _statement(given: str | None, file: Path | None) -> str:
    if (given is None) == (file is None):
        raise SettingError(
            "give the statement once: as an argument, by --file PATH, or - to read it from standard input"
        )
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"'{file}' cannot be read ({error}); is it the right --file?") from error
    assert given is not None
    return sys.stdin.read() if given == _STDIN else given


def _params(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, is_there, value = text.partition("=")
        if not is_there or not name.strip().isidentifier():
            raise SettingError(f"--param '{text}' is no NAME=VALUE")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
        if isinstance(found[name.strip()], (dict, list)):
            found[name.strip()] = value
    return found
