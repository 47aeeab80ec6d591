"""``pitstop export csv|json``: every series at every step, written as it is read; or one of the tables."""

from __future__ import annotations

import csv
import json
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, contract_inside
from pitstop.cli.export_grafana import grafana
from pitstop.cli.export_prometheus import prometheus
from pitstop.cli.export_rules import prometheus_rules
from pitstop.cli.options import From, Last, Service, StoreUrl, To, must_be_there, opened, window_now, written
from pitstop.model.errors import SettingError
from pitstop.model.series import Match
from pitstop.model.window import Window, parse_duration_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.analyze import SeriesRow
    from pitstop.model import Store

_SERIES = ("service", "tenant", "kind", "name", "parent", "outcome")
_MOST_TRACES = 1_000_000  # rows without their spans, 300 bytes each
_COLUMNS = {
    "queries": (
        "statement", "calls", "errors", "rate_per_s", "total_s", "mean_s", "p50_s", "p95_s", "p99_s", "max_s", "rows",
        "rows_per_call", "time_ratio", "routes",
    ),
    "traces": (
        "trace_id", "service", "kind", "route", "started_at", "duration_s", "outcome", "reason", "weight", "spans",
        "left_out", "bytes", "fingerprint", "worker",
    ),
    "errors": (
        "type", "service", "route", "line", "count", "message", "first_s", "last_s", "is_new", "fingerprint", "stack",
        "trace_id",
    ),
}  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the start of a formula (OWASP, CSV injection)


class Form(StrEnum):
    """What to write."""

    CSV = "csv"
    JSON = "json"


class Table(StrEnum):
    """What to write it of."""

    SERIES = "series"
    QUERIES = "queries"
    TRACES = "traces"
    ERRORS = "errors"


app = typer.Typer(help="Take it elsewhere: CSV, JSON, Prometheus, Grafana.", no_args_is_help=True)
Step = Annotated[
    str | None, typer.Option("--step", metavar="LENGTH", help="One row per series and step; default: it fits.")
]
Kind = Annotated[str | None, typer.Option("--kind", help="Only this kind: http, db, cache …")]
Chosen = Annotated[
    Table, typer.Option("--table", help="series at every step, or one row each: queries, traces, errors.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default standard output.")]


@app.command("csv")
def as_csv(
    *,
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    step: Step = None,
    kind: Kind = None,
    table: Chosen = Table.SERIES,
    output: Output = None,
) -> None:
    """Every series at every step: counts, bytes and percentiles, as CSV. Or queries, traces, errors."""
    _export(Form.CSV, store, service, window_now(last, begin, end), step, kind, table, output)


@app.command("json")
def as_json(
    *,
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    step: Step = None,
    kind: Kind = None,
    table: Chosen = Table.SERIES,
    output: Output = None,
) -> None:
    """The same as JSON, as docs/json.md has it."""
    _export(Form.JSON, store, service, window_now(last, begin, end), step, kind, table, output)


app.command("prometheus")(prometheus)
app.command("grafana")(grafana)
app.command("prometheus-rules")(prometheus_rules)


def _export(
    form: Form,
    store: str | None,
    service: str | None,
    window: Window,
    step: str | None,
    kind: str | None,
    table: Table,
    output: Path | None,
) -> None:
    from pitstop import analyze  # noqa: PLC0415  numpy

    if table is not Table.SERIES and (step or kind):
        raise SettingError(f"--step and --kind are for series; the table {table} has one row each, leave them out")
    with opened(store) as kept:
        must_be_there(kept)  # before a file is made
        if table is not Table.SERIES:
            rows = _table(kept, table, window, service)
            with written(output) as file:
                if form is Form.CSV:
                    _write_table(file, rows, _COLUMNS[table])
                else:
                    document = contract.document(window, service, table=table, rows=rows)
                    file.write(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
            return
        step_s = parse_duration_s(step) if step else analyze.automatic_step_s(window)
        found = analyze.rows(kept, window, Match(service=service, kind=kind), step_s)
        with written(output) as file:
            if form is Form.CSV:
                _write_csv(file, found)
            else:
                _write_json(file, found, window, service, step_s)


def _table(store: Store, table: Table, window: Window, service: str | None) -> list[contract.Json]:
    from pitstop import analyze  # noqa: PLC0415  numpy

    if table is Table.QUERIES:
        return [contract_inside.query(row) for row in analyze.queries(store, window, service)]
    if table is Table.ERRORS:
        return [contract_inside.error(row) for row in analyze.errors(store, window, service)]
    return [contract_inside.trace(row) for row in analyze.traces(store, window, service, limit=_MOST_TRACES)]


def _write_table(file: IO[str], rows: Iterable[contract.Json], columns: Sequence[str]) -> None:
    """CSV; a list is one cell, a line each."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = ("\n".join(value) if isinstance(value, list) else value for value in map(row.get, columns))
        writer.writerow([_harmless(cell) for cell in cells])


def _row(row: SeriesRow) -> dict[str, object]:
    return {"ts": row.ts, **row.series._asdict(), **contract.stats(row.stats)}


def _write_csv(file: IO[str], rows: Iterable[SeriesRow]) -> None:
    from pitstop.analyze import NO_DATA  # noqa: PLC0415  numpy

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["ts", *_SERIES, *contract.stats(NO_DATA)])
    for row in rows:
        writer.writerow([_harmless(value) for value in _row(row).values()])


def _harmless(value: object) -> object:
    """A text that a spreadsheet would run gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _write_json(file: IO[str], rows: Iterable[SeriesRow], window: Window, service: str | None, step_s: int) -> None:
    head = json.dumps(contract.document(window, service, step_s=step_s), ensure_ascii=False)
    file.write(f'{head[:-1]}, "rows": [')
    separator = "\n"
    for row in rows:
        file.write(separator + json.dumps(_row(row), ensure_ascii=False, allow_nan=False))
        separator = ",\n"
    file.write("\n]}\n")
