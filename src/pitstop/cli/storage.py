"""``pitstop storage``: what the store takes, and keeping house by hand."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pitstop.cli import FINDING, contract, terminal
from pitstop.cli.options import OK, AsJson, StoreUrl, must_be_there, opened, parse_time_s
from pitstop.model.errors import SettingError
from pitstop.model.window import parse_duration_s

app = typer.Typer(help="What the store takes, and keeping house by hand.")

_COLUMNS = (
    terminal.Column("table", name=True),
    terminal.Column("step s"),
    terminal.Column("rows"),
    terminal.Column("oldest", left=True),
    terminal.Column("newest", left=True),
)


@app.callback(invoke_without_command=True)
def storage(context: typer.Context, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """What the store takes, and keeping house by hand. Without a command: the status."""
    if context.invoked_subcommand is None:
        status(store, as_json)
    elif store is not None or as_json:
        raise SettingError(f"options go behind the command: pitstop storage {context.invoked_subcommand} --store …")


@app.command()
def status(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Size, tables, who keeps house, and the state. Exit 1 when the state is not ok."""
    from pitstop.analyze import units  # noqa: PLC0415  numpy

    with opened(store) as kept:
        size = kept.size()
    if as_json:
        terminal.print_json(contract.document(None, storage=contract.storage(size)))
    else:
        held = f"{size.lease_holder} until {units.time_text(size.lease_until_s)}" if size.lease_holder else "nobody"
        terminal.print_fields(
            [
                ("store", size.url),
                ("state", terminal.status_text(size.state)),
                ("schema", str(size.schema)),
                ("data", f"{units.bytes_text(size.data_bytes)}  ({units.bytes_text(size.free_bytes)} of it free)"),
                ("log", units.bytes_text(size.log_bytes)),
                ("series", units.count_text(size.series)),
                ("kept by", held),
            ]
        )
        terminal.say()
        terminal.print_table(
            _COLUMNS,
            [
                (
                    table.name,
                    str(table.step_s) if table.step_s else units.NO_DATA,
                    units.count_text(table.rows),
                    units.NO_DATA if table.oldest_s is None else units.time_text(table.oldest_s),
                    units.NO_DATA if table.newest_s is None else units.time_text(table.newest_s),
                )
                for table in size.tables
            ],
        )
    if size.state != OK:
        raise typer.Exit(FINDING)


@app.command()
def prune(
    store: StoreUrl = None,
    before: Annotated[str | None, typer.Option("--before", metavar="TIME", help="Delete what is older.")] = None,
    keep: Annotated[str | None, typer.Option("--keep", metavar="LENGTH", help="Keep the last 30d, 12w …")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much it would be.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete old measurements. Asks first, naming what goes."""
    from pitstop.analyze import units  # noqa: PLC0415  numpy

    if (before is None) == (keep is None):
        raise SettingError("say what goes with one of --before TIME and --keep LENGTH, as in --keep 30d")
    before_s = parse_time_s(before) if before is not None else int(time.time()) - parse_duration_s(keep or "")
    with opened(store) as kept:
        must_be_there(kept)
        url = kept.url
        rows = kept.prune(before_s, dry_run=True)
    sure = dry_run or yes or not rows
    until = units.time_text(before_s)
    if not sure:
        typer.confirm(f"Delete {rows} rows from before {until} in {url}? This cannot be undone.", abort=True, err=True)
    deleted = 0
    if rows and not dry_run:
        with opened(store, readonly=False) as kept:
            deleted = kept.prune(before_s)
    if as_json:
        answer = {"before_s": before_s, "dry_run": dry_run, "rows": rows, "deleted": deleted}
        terminal.print_json(contract.document(None, prune=answer))
    elif not rows:
        terminal.say(f"Nothing in {url} is older than {until}.")
    elif dry_run:
        terminal.say(f"{rows} rows in {url} are older than {until}; nothing was deleted.")
    else:
        terminal.say(f"Deleted {deleted} rows from before {until} in {url}.")


@app.command()
def checkpoint(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Fold the write-ahead log into the data file."""
    from pitstop.analyze import units  # noqa: PLC0415  numpy

    with opened(store) as kept:
        must_be_there(kept)  # asking does not make one
    with opened(store, readonly=False) as kept:
        log_bytes = kept.checkpoint()
    if as_json:
        terminal.print_json(contract.document(None, checkpoint={"log_bytes": log_bytes}))
    else:
        terminal.say(f"Folded {units.bytes_text(log_bytes)} of log into the data.")


@app.command()
def migrate(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Bring the store to this version's schema, or make it; the data stays."""
    with opened(store, readonly=False) as kept:
        size = kept.size()  # the first use of a store that may write checks tables, columns and indexes
    if as_json:
        terminal.print_json(contract.document(None, migrate={"url": size.url, "schema": size.schema}))
    else:
        terminal.say(f"{size.url} has schema {size.schema}, state {size.state}.")
