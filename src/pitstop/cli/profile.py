"""``pitstop profile``: which functions the time goes to, from stacks sampled while the service ran."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, contract_inside, terminal
from pitstop.cli.options import AsJson, From, Last, Route, Service, StoreUrl, To, opened, store_url, window_now
from pitstop.model.errors import SettingError
from pitstop.model.window import Window, parse_duration_s
from pitstop.record.burst import DEFAULT_HZ

if TYPE_CHECKING:
    from pitstop.analyze import FunctionDelta, FunctionRow, ProfileDiff
    from pitstop.model import Profiles

BEFORE = "before"
SHOWN = 30
NOW_S = 10.0
_COLUMNS = (
    terminal.Column("function", name=True),
    terminal.Column("self %"),
    terminal.Column("total %"),
    terminal.Column("self s", spare=True),
    terminal.Column("samples", spare=True),
)
_DELTA_COLUMNS = (
    terminal.Column("function", name=True),
    terminal.Column("self %"),
    terminal.Column("before %"),
    terminal.Column("change"),
)


class Mode(StrEnum):
    """Which time: all that passes, on the processor only, or what held an event loop."""

    WALL = "wall"
    CPU = "cpu"
    BLOCKED = "blocked"


class Form(StrEnum):
    """What to write."""

    TEXT = "text"
    FOLDED = "folded"
    SPEEDSCOPE = "speedscope"
    PPROF = "pprof"


def profile(
    *,
    store: StoreUrl = None,
    service: Service = None,
    last: Last = None,
    begin: From = None,
    end: To = None,
    route: Route = None,
    mode: Annotated[
        Mode, typer.Option("--mode", help="wall: all time; cpu: computing; blocked: held an event loop.")
    ] = Mode.WALL,
    form: Annotated[
        Form, typer.Option("--format", help="text, or what flamegraph.pl, speedscope, pprof read.")
    ] = Form.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default standard output.")
    ] = None,
    compare_to: Annotated[
        str | None,
        typer.Option("--compare-to", metavar="LENGTH", help="Changes since so much earlier: 1d; or before."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many functions.")] = SHOWN,
    pid: Annotated[
        int | None, typer.Option("--pid", metavar="PID", min=1, help="Sample this running recorded process now.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", metavar="S", help="Sample now, for so long; with --pid or --service. Default 10."),
    ] = None,
    rate_hz: Annotated[
        float, typer.Option("--rate", metavar="HZ", min=1, max=1000, help="Looks a second when sampling now.")
    ] = DEFAULT_HZ,
    as_json: AsJson = False,
) -> None:
    """Functions by time, or a flame graph for other tools, from stacks sampled while it ran, or from now on."""
    if pid is not None or seconds is not None:
        if last or begin or end or compare_to or store:
            raise SettingError("--pid and --seconds sample from now on: no --store, --last, --from, --to, --compare-to")
        if pid is None and service is None:
            raise SettingError("--seconds needs to know what to sample: add --pid PID or --service NAME")
        _show_now(
            pid, service, seconds or NOW_S, rate_hz, route=route, mode=mode,
            form=form, output=output, limit=limit, as_json=as_json,
        )  # fmt: skip
        return
    window = window_now(last, begin, end)
    earlier = None if compare_to is None else _earlier(window, compare_to)
    if earlier is not None and form is not Form.TEXT:
        raise SettingError(f"--compare-to writes text or --json, not {form}; leave one out")
    with opened(store) as kept:
        found = kept.profiles(window, service=service, route=route, mode=mode)
        before = None if earlier is None else kept.profiles(earlier, service=service, route=route, mode=mode)
    if not len(found) and form is Form.TEXT and not as_json:
        terminal.say(terminal.title(service, window), style="bold")
        terminal.say(terminal.nothing_of("stacks", store_url(store)))
        return
    show(found, window, service, form=form, output=output, before=before, limit=limit, as_json=as_json)


def _show_now(
    pid: int | None,
    service: str | None,
    seconds: float,
    rate_hz: float,
    *,
    route: str | None,
    mode: Mode,
    form: Form,
    output: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    from pitstop.cli.live import sampled_now  # noqa: PLC0415

    begun_s = int(time.time())
    found = sampled_now(pid=pid, service=service, seconds=seconds, rate_hz=rate_hz, mode=mode, route=route)
    window = Window(begun_s, max(int(time.time()), begun_s + 1))
    if not len(found) and form is Form.TEXT and not as_json:
        terminal.say(f"Nothing ran in {seconds:g} s, neither a request nor anything that computes.")
        return
    show(found, window, service, form=form, output=output, limit=limit, as_json=as_json)


def show(
    found: Profiles,
    window: Window,
    service: str | None,
    *,
    form: Form = Form.TEXT,
    output: Path | None = None,
    before: Profiles | None = None,
    limit: int = SHOWN,
    as_json: bool = False,
) -> None:
    """Print stacks of one mode, or write them to `output`: from the store, or from a process that runs."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    if form is Form.PPROF:
        _write(analyze.pprof(found, window), output)
    elif form is Form.FOLDED:
        _write(analyze.folded(found).encode(), output)
    elif form is Form.SPEEDSCOPE:
        _write(analyze.speedscope(found, terminal.title(service, window)).encode(), output)
    else:
        functions = analyze.top_functions(found)[:limit]
        changed = None if before is None else analyze.profile_diff(found, before)
        if as_json:
            graph = analyze.flame_graph(found)
            content = contract_inside.profile(graph, functions, changed)
            terminal.print_json(contract.document(window, service, profile=content))
            return
        terminal.say(terminal.title(service, window), style="bold")
        _print_functions(found, functions)
        if changed is not None:
            terminal.say()
            _print_changed(changed, limit)


def _earlier(window: Window, text: str) -> Window:
    return window.before() if text == BEFORE else window.before(parse_duration_s(text))


def _write(data: bytes, output: Path | None) -> None:
    if output is None:
        if sys.stdout.isatty() and not data.isascii():
            raise SettingError("a terminal cannot show this format; write it to a file with -o FILE")
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise SettingError(f"'{output}' cannot be written ({error.strerror}); choose another --output") from error


def _print_functions(found: Profiles, functions: list[FunctionRow]) -> None:
    from pitstop.analyze import units  # noqa: PLC0415

    total_s = sum(found.weight_ns) / 1e9
    mode = found.mode[0] if len(found) else ""
    terminal.say(f"{units.duration_text(total_s)} of {mode} time in {sum(found.samples)} samples")
    terminal.print_table(
        _COLUMNS,
        [
            (
                row.name,
                units.figures(row.self_ratio * 100),
                units.figures(row.total_ratio * 100),
                units.figures(row.self_s),
                units.count_text(row.samples),
            )
            for row in functions
        ],
    )


def _print_changed(changed: ProfileDiff, limit: int) -> None:
    from pitstop.analyze import units  # noqa: PLC0415

    def row(delta: FunctionDelta) -> tuple[str, ...]:
        points = delta.delta_ratio * 100
        return (
            delta.name,
            units.figures(delta.self_ratio * 100),
            units.figures(delta.before_self_ratio * 100),
            f"{'−' if points < 0 else '+'}{units.figures(abs(points), 2)}",
        )

    terminal.say("changed most, in percentage points of all time", style="bold")
    if not changed.before_total_s:
        terminal.say("There are no stacks in the window to compare with.")
        return
    terminal.print_table(_DELTA_COLUMNS, [row(delta) for delta in changed.functions[:limit]])
