"""``pitstop trace ID``: one request with everything that happened in it, as a waterfall."""

from __future__ import annotations

import string
import time
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli import contract, contract_inside, terminal, waterfall
from pitstop.cli.options import AsJson, StoreUrl, opened
from pitstop.model.errors import NotFoundError, SettingError
from pitstop.model.trace import TraceMatch
from pitstop.model.window import Window

if TYPE_CHECKING:
    from pitstop.analyze import TraceTree
    from pitstop.model import Store

_WHOLE_ID = 32  # hex digits: W3C Trace Context
_LEAST_DIGITS = 4
_SEARCHED = 20_000  # newest traces looked through for an id that is not whole
_AROUND_S = 3600  # where an occurrence of the same failure is looked for: one a minute is kept
_NAMED = 5  # gaps and code lines below the waterfall


def trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="The trace's id, or how it begins.")],
    store: StoreUrl = None,
    everything: Annotated[bool, typer.Option("--all", help="Every span a line; default folds what repeats.")] = False,
    as_json: AsJson = False,
) -> None:
    """One kept request as a waterfall: what ran when, how long, and what it did itself."""
    from pitstop import analyze  # noqa: PLC0415  numpy

    with opened(store) as kept:
        tree = analyze.trace_tree(kept, _whole_id(kept, trace_id))
        failures = _failures(kept, tree)
    if as_json:
        terminal.print_json(contract.document(None, trace=contract_inside.trace_tree(tree)))
        return
    _print_head(tree)
    for failure in failures:
        terminal.say(f"▲ {failure}")
    terminal.say()
    found, more = waterfall.lines(tree, everything=everything)
    for line in waterfall.drawn(tree, found, terminal.width()):
        terminal.print_line(line)
    if more:
        terminal.say(f"… and {more} lines of shorter spans: pitstop trace {tree.trace_id} --all")
    if tree.left_out:
        terminal.say(f"{tree.left_out} spans were not kept (setting trace_spans)")
    _print_waves(tree)
    _print_foot(tree)


def _whole_id(store: Store, text: str) -> str:
    """The id that begins with `text`. Raises SettingError when it is no id, NotFoundError when none or many do."""
    wanted = text.strip().lower()
    if len(wanted) < _LEAST_DIGITS or len(wanted) > _WHOLE_ID or not set(wanted) <= set(string.hexdigits):
        raise SettingError(f"'{text}' is no trace id: write {_LEAST_DIGITS} … {_WHOLE_ID} hex digits")
    if len(wanted) == _WHOLE_ID:
        return wanted
    newest = store.traces(Window(0, int(time.time()) + 1), TraceMatch(), limit=_SEARCHED)
    found = {one for one in newest.trace_id if one.startswith(wanted)}
    if len(found) != 1:
        what = "no kept trace begins" if not found else f"{len(found)} kept traces begin"
        raise NotFoundError(f"{what} with '{wanted}'; pitstop traces --json has the whole ids")
    return found.pop()


def _failures(store: Store, tree: TraceTree) -> list[str]:
    """What the parts of the trace failed with, where an occurrence of it is kept."""
    wanted = {part.fingerprint for part in tree.parts} - {""}
    if not wanted:
        return []
    around = Window(max(0, int(tree.started_at) - _AROUND_S), int(tree.started_at + tree.duration_s) + _AROUND_S)
    seen = store.errors(around)
    rows = zip(seen.fingerprint, seen.type, seen.message, seen.line, strict=True)
    found = {fingerprint: f"{kind}: {message} at {line}" for fingerprint, kind, message, line in rows}
    return [found[fingerprint] for fingerprint in sorted(wanted & found.keys())]


def _print_head(tree: TraceTree) -> None:
    from pitstop.analyze import units  # noqa: PLC0415

    part = tree.parts[0]
    terminal.say(f"{tree.route} · {tree.outcome} · {units.duration_text(tree.duration_s)}", style="bold")
    kept = f"kept because: {part.reason}" + (f", stands for {part.weight} requests" if part.weight > 1 else "")
    terminal.say(f"{part.service} · {units.time_text(tree.started_at)} · {kept}")
    terminal.say(f"trace {tree.trace_id}")


def _print_waves(tree: TraceTree) -> None:
    from pitstop.analyze.units import duration_text  # noqa: PLC0415
    from pitstop.analyze.wave_runs import wave_runs  # noqa: PLC0415
    from pitstop.tune.waves.chart import Bar, drawn  # noqa: PLC0415

    for run in wave_runs(tree):
        terminal.say()
        took, alone = duration_text(run.duration_s), duration_text(run.sequential_s)
        terminal.say(f"side by side in {run.name}: {took} instead of {alone}, × {run.speed_up:.3g}", style="bold")
        bars = [
            Bar(
                terminal.printable(task.name), task.wave, task.start_s, task.duration_s, task.waited_s, task.critical,
                task.failed,
            )
            for task in run.tasks
        ]  # fmt: skip
        for line in drawn(bars, run.duration_s, terminal.width()):
            terminal.print_line(line)
        if run.critical_path:
            terminal.say(f"critical path: {run.critical_path}")
        if run.skipped:
            terminal.say(f"skipped, because what they need failed: {run.skipped}")


def _print_foot(tree: TraceTree) -> None:
    from pitstop.analyze import units  # noqa: PLC0415

    spent = sorted(tree.self_by_kind.items(), key=lambda item: -item[1])
    words = [f"{name.replace('_', ' ')} {units.duration_text(seconds)}" for name, seconds in spent if seconds]
    terminal.say()
    terminal.say("time went to: " + " · ".join(words))
    lines = waterfall.busiest(tree.spans, _NAMED)
    if lines:
        terminal.say("code lines")
        for span, times, own_s in lines:
            terminal.say_indented(f"{units.duration_text(own_s)}, {times} × {span.kind}: {span.line}")
    gaps = sorted(((gap, span) for span in tree.spans for gap in span.gaps), key=lambda item: -item[0].duration_s)
    if gaps:
        terminal.say("gaps")
        for gap, span in gaps[:_NAMED]:
            took, at = units.duration_text(gap.duration_s), units.duration_text(gap.start_s)
            terminal.say_indented(f"{took} {gap.name}, from {at} on, in {span.name}")
