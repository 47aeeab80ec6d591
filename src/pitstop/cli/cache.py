"""``pitstop cache``: which regions pay off; throw values away; make them ready."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, contract_tune, terminal
from pitstop.cli.options import AsJson, From, Last, Service, StoreUrl, To, opened, store_url, window_now
from pitstop.model.errors import SettingError
from pitstop.model.tuned import CACHE_INVALIDATE, CACHE_WARM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.analyze import CacheEffect, CacheRow, RegionRow

app = typer.Typer(help="Which cache regions pay off; throw values away; make them ready.")

Pid = Annotated[int | None, typer.Option("--pid", metavar="PID", min=1, help="Only this recorded process.")]
Region = Annotated[str | None, typer.Option("--region", metavar="NAME", help="Only this region.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how much it would be.")]
WARM_S = 60.0  # what making values ready may take

_COLUMNS = (
    terminal.Column("region", name=True),
    terminal.Column("hits"),
    terminal.Column("lookups"),
    terminal.Column("saved"),
    terminal.Column("hit ms", spare=True),
    terminal.Column("make ms"),
    terminal.Column("memory", spare=True),
    terminal.Column("lives", spare=True),
    terminal.Column("effect", left=True),
)
_WIRE = (
    terminal.Column("command", name=True),
    terminal.Column("calls"),
    terminal.Column("hits"),
    terminal.Column("mean ms"),
    terminal.Column("P95 ms"),
    terminal.Column("errors"),
)


@app.callback(invoke_without_command=True)
def cache(context: typer.Context, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Which cache regions pay off; throw values away; make them ready. Without a command: the figures."""
    if context.invoked_subcommand is None:
        stats(store, as_json=as_json)
    elif store is not None or as_json:
        raise SettingError(f"options go behind the command: pitstop cache {context.invoked_subcommand} …")


@app.command()
def stats(
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    as_json: AsJson = False,
) -> None:
    """Hit ratio, time saved, memory and lifetime of every region, and the commands that go over a wire."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    window = window_now(last, begin, end)
    with opened(store) as kept:
        rows = analyze.regions(kept, window, service)
        commands = analyze.caches(kept, window, service)
    seen = analyze.cache_effect(rows)
    if as_json:
        content = {
            "effect": contract_tune.effect(seen),
            "regions": [contract_tune.region(row) for row in rows],
            "commands": [contract_tune.command(row) for row in commands],
        }
        terminal.print_json(contract.document(window, service, **content))
        return
    terminal.say(terminal.title(service, window), style="bold")
    if not rows and not commands:
        terminal.say(terminal.nothing_of("cache lookups", store_url(store)))
        return
    if rows:
        print_regions(rows, seen)
    if commands:
        print_commands(commands)


@app.command()
def invalidate(
    *,
    region: Region = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Values with it; may be repeated.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Values of this tenant.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All values of all regions.")] = False,
    service: Service = None,
    pid: Pid = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Throw away what matches any of these, in the recorded processes of this machine. Counts first and asks."""
    from pitstop.analyze.asked import asked, gone_text  # noqa: PLC0415  numpy

    given: dict[str, object] = {"region": region, "tags": tag, "tenant": tenant}
    chosen = {name: value for name, value in given.items() if value}
    if not chosen and not everything:
        raise SettingError("say what goes: --region, --tag or --tenant, or --everything for all of it")
    if chosen and everything:
        raise SettingError("--everything is all of it; leave out --region, --tag and --tenant, or --everything")
    chosen["everything"] = everything
    would = asked(CACHE_INVALIDATE, chosen | {"dry_run": True}, service=service, pid=pid)
    seen = would
    if not dry_run:
        if not yes:
            typer.confirm(f"{gone_text(would, dry_run=True)}. Throw them away?", abort=True, err=True)
        seen = asked(CACHE_INVALIDATE, chosen | {"dry_run": False}, service=service, pid=pid)
    if as_json:
        terminal.print_json(
            contract.document(None, invalidate=contract_tune.counted(seen, seen.total("entries"), dry_run=dry_run))
        )
    else:
        terminal.say(f"{gone_text(seen, dry_run=dry_run)}.")
        complain(seen.problems)


@app.command()
def warm(
    *, region: Region = None, service: Service = None, pid: Pid = None, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Make the values ready that are usually asked for, in the recorded processes of this machine."""
    from pitstop.analyze.asked import asked, warmed_text  # noqa: PLC0415  numpy

    chosen: dict[str, object] = {"dry_run": dry_run} | ({} if region is None else {"region": region})
    seen = asked(CACHE_WARM, chosen, service=service, pid=pid, takes_s=WARM_S)
    if as_json:
        terminal.print_json(
            contract.document(None, warm=contract_tune.counted(seen, seen.total("calls"), dry_run=dry_run))
        )
    else:
        terminal.say(f"{warmed_text(seen, dry_run=dry_run)}.")
        complain(seen.problems)


def complain(problems: Sequence[str]) -> None:
    """Say on standard error who did not answer."""
    for text in problems:
        sys.stderr.write(f"pitstop: {terminal.printable(text)}\n")


def print_regions(rows: Sequence[RegionRow], seen: CacheEffect) -> None:
    """The table, and all regions together in a sentence."""
    from pitstop.analyze import units  # noqa: PLC0415

    terminal.print_table(
        _COLUMNS,
        [
            (
                row.region,
                units.ratio_text(row.hit_ratio),
                units.count_text(row.lookups),
                saved_text(row.saved_s),
                units.milliseconds_text(row.lookup_s),
                units.milliseconds_text(row.recompute_s),
                units.NO_DATA if row.held is None else units.bytes_text(row.held.nbytes),
                units.NO_DATA if row.held is None or not row.held.ttl_s else units.duration_text(row.held.ttl_s),
                row.effect,
            )
            for row in rows
        ],
    )
    if seen.hit_ratio is not None:
        terminal.say(
            f"{units.ratio_text(seen.hit_ratio)} of {units.count_text(seen.lookups)} lookups hit, "
            f"{saved_text(seen.saved_s)} saved; high {len(seen.high)}, low {len(seen.low)}, none {len(seen.none)} "
            f"of {len(rows)} regions"
        )
    for row in rows:
        if row.held is not None and row.held.breaker in {"open", "half-open"}:
            terminal.say(f"▲ {row.region}: the breaker of its far level is {row.held.breaker}; memory serves")


def print_commands(rows: Sequence[CacheRow]) -> None:
    """What goes over a wire."""
    from pitstop.analyze import units  # noqa: PLC0415

    terminal.say()
    terminal.print_table(
        _WIRE,
        [
            (
                row.name,
                units.count_text(row.calls),
                units.ratio_text(row.hit_ratio),
                units.milliseconds_text(row.mean_s),
                units.milliseconds_text(row.p95_s),
                units.count_text(row.errors),
            )
            for row in rows
        ],
    )


def saved_text(seconds: float | None) -> str:
    """Time saved, with a sign when it was lost."""
    from pitstop.analyze import units  # noqa: PLC0415

    return f"−{units.duration_text(-seconds)}" if seconds is not None and seconds < 0 else units.duration_text(seconds)
