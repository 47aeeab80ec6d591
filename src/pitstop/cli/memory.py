"""``pitstop memory``: what leaks and how near the limit is; look closer; give memory back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import FINDING, contract, contract_tune, terminal
from pitstop.cli.cache import Pid, complain, saved_text
from pitstop.cli.options import AsJson, From, Last, Service, StoreUrl, To, opened, window_now
from pitstop.model.errors import SettingError
from pitstop.model.tuned import MEMORY_LOOK, MEMORY_OPTIMIZE

if TYPE_CHECKING:
    from pitstop.analyze import Memory

app = typer.Typer(help="What leaks and how near the limit is; look closer; give memory back.")

OPTIMIZE_S = 30.0  # what a collection in a large process may take
_BAD = frozenset({"high", "critical"})
_LEVELS = {"none": "ok", "elevated": "! elevated", "high": "▲ high"}  # "high" and "none" are good and bad of a cache

_PRESSURE = (
    terminal.Column("worker", name=True),
    terminal.Column("used"),
    terminal.Column("of"),
    terminal.Column("set by", left=True, spare=True),
    terminal.Column("gave way", left=True, spare=True),
    terminal.Column("pressure", left=True),
)
_COLLECTORS = (
    terminal.Column("collector of", name=True),
    terminal.Column("longest"),
    terminal.Column("all pauses"),
    terminal.Column("thresholds", left=True),
    terminal.Column("frozen"),
    terminal.Column("allocs/s", spare=True),
)
_LIMITERS = (
    terminal.Column("limiter", name=True),
    terminal.Column("now"),
    terminal.Column("limit"),
    terminal.Column("ms"),
    terminal.Column("refused"),
)
_OBJECTS = (
    terminal.Column("object pool", name=True),
    terminal.Column("taken"),
    terminal.Column("made"),
    terminal.Column("saved"),
    terminal.Column("verdict", left=True, spare=True),
)
_LINES = (
    terminal.Column("code line", name=True),
    terminal.Column("stayed"),
    terminal.Column("blocks"),
    terminal.Column("a minute"),
    terminal.Column("goes on", left=True),
)


@app.callback(invoke_without_command=True)
def memory(context: typer.Context, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """What leaks and how near the limit is; look closer; give memory back. Without a command: the status."""
    if context.invoked_subcommand is None:
        status(store, as_json=as_json)
    elif store is not None or as_json:
        raise SettingError(f"options go behind the command: pitstop memory {context.invoked_subcommand} …")


@app.command()
def status(
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    as_json: AsJson = False,
) -> None:
    """Leaks, pressure, collectors, limiters, object pools; exit 1 on a sure leak or pressure of high or critical."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    window = window_now(last, begin, end)
    with opened(store) as kept:
        seen = analyze.memory(kept, window, service)
    if as_json:
        terminal.print_json(contract.document(window, service, memory=contract_tune.memory(seen)))
    else:
        terminal.say(terminal.title(service, window), style="bold")
        print_memory(seen)
    if any(leak.sure for leak in seen.leaks) or seen.level in _BAD:
        raise typer.Exit(FINDING)


@app.command()
def look(
    *,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", min=0.1, max=60, help="For how long.")] = 10.0,
    service: Service = None,
    pid: Pid = None,
    as_json: AsJson = False,
) -> None:
    """Which code lines allocate what stays, in the recorded processes of this machine; they are slow meanwhile."""
    from pitstop.analyze.asked import asked, looked_lines, outside_texts  # noqa: PLC0415  numpy
    from pitstop.analyze.units import bytes_text, count_text  # noqa: PLC0415

    def waiting(left: int, waited_s: float) -> None:
        if sys.stderr.isatty():
            done = f"{left} processes, {min(waited_s, seconds):.0f} of {seconds:g} s" if left else ""
            sys.stderr.write(f"\r{done:<60}\r")
            sys.stderr.flush()

    seen = asked(MEMORY_LOOK, {"seconds": seconds}, service=service, pid=pid, takes_s=seconds, waiting=waiting)
    lines, outside = looked_lines(seen), outside_texts(seen)
    if as_json:
        terminal.print_json(contract.document(None, look=contract_tune.looked(seen, lines, outside, seconds)))
        return
    if lines:
        rows = [
            (
                one.line,
                bytes_text(one.nbytes),
                count_text(one.blocks),
                bytes_text(one.bytes_per_min),
                "yes" if one.stays else "no",
            )
            for one in lines
        ]
        terminal.print_table(_LINES, rows)
    else:
        terminal.say(f"Nothing that was allocated in {seconds:g} s stayed.")
    for text in outside:
        terminal.say(text)
    complain(seen.problems)


@app.command()
def optimize(*, service: Service = None, pid: Pid = None, as_json: AsJson = False) -> None:
    """Collect garbage and give free memory back, in the recorded processes of this machine; says what it came to."""
    from pitstop.analyze.asked import asked, freed_text, step_texts  # noqa: PLC0415  numpy

    seen = asked(MEMORY_OPTIMIZE, {}, service=service, pid=pid, takes_s=OPTIMIZE_S)
    if as_json:
        terminal.print_json(contract.document(None, optimize=contract_tune.optimized(seen)))
        return
    for one in seen.answers:
        terminal.say(freed_text(one))
        for text in step_texts(one):
            terminal.say_indented(text)
    complain(seen.problems)


def print_memory(seen: Memory) -> None:
    """What is worst first."""
    from pitstop.analyze import units  # noqa: PLC0415

    if not (seen.leaks or seen.pressure or seen.collectors or seen.objects or seen.limiters):
        terminal.say("No worker reports about its memory in this window.")
        terminal.say("One line in the service does it: from pitstop.tune.memory import tune_memory; tune_memory()")
        terminal.say("What its workers hold, tuned or not: pitstop runtime")
        return
    for leak in seen.leaks:
        word = "leaks" if leak.sure else "leaked"
        terminal.say(f"▲ {leak.what} {word}: {units.bytes_text(leak.bytes_per_min)} a minute in {leak.worker}")
        terminal.say_indented(leak.why + (f", from {leak.line}" if leak.line else ""))
    if not seen.leaks:
        terminal.say("Nothing was seen to leak.")
    if seen.pressure:
        terminal.say()
        terminal.print_table(
            _PRESSURE,
            [
                (
                    one.worker,
                    units.bytes_text(one.used_bytes),
                    units.bytes_text(one.limit_bytes),
                    one.source or units.NO_DATA,
                    ", ".join(one.shed) or "nothing",
                    _LEVELS.get(one.level, one.level),
                )
                for one in seen.pressure
            ],
        )
    _print_rest(seen)


def _print_rest(seen: Memory) -> None:
    from pitstop.analyze import units  # noqa: PLC0415

    tables: list[tuple[tuple[terminal.Column, ...], list[tuple[str, ...]]]] = [
        (
            _COLLECTORS,
            [
                (
                    one.worker,
                    units.duration_text(one.longest_s),
                    units.duration_text(one.pause_s),
                    ",".join(map(str, one.thresholds)),
                    units.count_text(one.frozen),
                    units.rate_text(one.allocations_per_s),
                )
                for one in seen.collectors
            ],
        ),
        (
            _LIMITERS,
            [
                (
                    f"{one.name} {one.worker}",
                    units.count_text(one.in_flight),
                    units.figures(one.limit),
                    units.milliseconds_text(one.recent_s),
                    units.count_text(one.refusals),
                )
                for one in seen.limiters
            ],
        ),
        (
            _OBJECTS,
            [
                (
                    one.name,
                    units.count_text(one.taken),
                    units.count_text(one.made),
                    saved_text(one.saved_s),
                    one.verdict,
                )
                for one in seen.objects
            ],
        ),
    ]
    for columns, rows in tables:
        if rows:
            terminal.say()
            terminal.print_table(columns, rows)
