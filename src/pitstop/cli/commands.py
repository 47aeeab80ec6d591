"""Every command, in the order of `pitstop --help`."""

from __future__ import annotations

from typing import Annotated

import typer

from pitstop.cli import (
    advise,
    alerts,
    cache,
    demo,
    doctor,
    errors,
    explain,
    export,
    health,
    memory,
    profile,
    queries,
    report,
    routes,
    run,
    runtime,
    serve,
    slo,
    storage,
    trace,
    traces,
)
from pitstop.model.version import __version__

RECORD = "Record and look"
READ = "Read"
KEEP = "Keep"
TUNE = "Tune"

app = typer.Typer(
    name="pitstop",
    help="Performance telemetry for Python web services: light, exact, self-contained.",
    epilog="Exit codes: 0 fine · 1 a finding or failed threshold · 2 could not do it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"pitstop {__version__}")
        raise typer.Exit


@app.callback()
def pitstop(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Record a service, keep it exactly, see it live."""
    del version  # its callback has done what it is for


_COMMAND_FOLLOWS = {"allow_extra_args": True, "allow_interspersed_args": False}
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app.command("run", rich_help_panel=RECORD, context_settings=_COMMAND_FOLLOWS)(run.run)
app.command("serve", rich_help_panel=RECORD)(serve.serve)
app.command("demo", rich_help_panel=RECORD, context_settings=_PASSED_ON)(demo.demo)
app.command("report", rich_help_panel=READ)(report.report)
app.command("routes", rich_help_panel=READ)(routes.routes)
app.command("queries", rich_help_panel=READ)(queries.queries)
app.command("traces", rich_help_panel=READ)(traces.traces)
app.command("trace", rich_help_panel=READ)(trace.trace)
app.command("errors", rich_help_panel=READ)(errors.errors)
app.command("profile", rich_help_panel=READ)(profile.profile)
app.command("health", rich_help_panel=READ)(health.health)
app.add_typer(cache.app, name="cache", rich_help_panel=TUNE)
app.add_typer(memory.app, name="memory", rich_help_panel=TUNE)
app.command("advise", rich_help_panel=TUNE)(advise.advise)
app.command("runtime", rich_help_panel=READ)(runtime.runtime)
app.command("slo", rich_help_panel=READ)(slo.slo)
app.add_typer(alerts.app, name="alerts", rich_help_panel=READ)
app.add_typer(export.app, name="export", rich_help_panel=READ)
app.command("explain", rich_help_panel=TUNE)(explain.explain)
app.add_typer(storage.app, name="storage", rich_help_panel=KEEP)
app.command("doctor", rich_help_panel=KEEP)(doctor.doctor)
