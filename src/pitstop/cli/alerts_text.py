"""How alerts look in a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pitstop.cli import terminal
from pitstop.model.watching import FIRING, PENDING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.model.watching import Incident, Moment, Replay, Silence, Tested

_COLUMNS = (
    terminal.Column("id"),
    terminal.Column("alert", name=True),
    terminal.Column("severity", left=True),
    terminal.Column("value", spare=True),
    terminal.Column("began", left=True),
    terminal.Column("lasted", spare=True),
    terminal.Column("state", left=True),
)
_SILENCES = (
    terminal.Column("id"),
    terminal.Column("alerts with", name=True),
    terminal.Column("until", left=True),
    terminal.Column("by", left=True),
    terminal.Column("because", left=True, spare=True),
)
_ASIDE = ("rule", "severity")


def print_incidents(incidents: Sequence[Incident]) -> None:
    """The table, open ones first."""
    if not incidents:
        terminal.say("Nothing was wrong. Ask for a longer time with --last 7d, or see that rules run: pitstop serve")
        return
    terminal.print_table(
        _COLUMNS,
        [
            (
                str(one.id),
                named(one),
                one.severity,
                measure(one.value, one.unit),
                moment_text(one.began_s)[5:-4].replace("T", " "),
                _lasted(one),
                _state(one),
            )
            for one in incidents
        ],
    )


def print_silences(silences: Sequence[Silence]) -> None:
    """The table of those in force or to come; nothing when there is none."""
    if not silences:
        return
    terminal.say()
    terminal.print_table(
        _SILENCES,
        [
            (str(one.id), labels_text(one.matches), moment_text(one.end_s)[5:-4].replace("T", " "), one.author, one.why)
            for one in silences
        ],
    )


def print_incident(one: Incident, moments: Sequence[Moment]) -> None:
    """One with its timeline."""
    fields = [
        ("alert", f"{one.rule}"),
        ("state", f"{_state(one)}, {one.severity}"),
        ("summary", one.summary),
        ("value", measure(one.value, one.unit) + ("" if one.limit is None else f" of {measure(one.limit, one.unit)}")),
        ("labels", labels_text(one.labels, _ASIDE) or "none"),
        ("lasted", _lasted(one)),
    ]
    terminal.print_fields(fields)
    terminal.say()
    for moment in moments:
        who = f" by {moment.who}" if moment.who else ""
        text = f": {moment.text}" if moment.text else ""
        terminal.say_indented(f"{moment_text(moment.ts_s)}  {moment.what}{who}{text}", by=0)


def print_tested(tested: Sequence[Tested]) -> None:
    """A line for each channel."""
    from pitstop.analyze import units  # noqa: PLC0415  numpy

    for one in tested:
        took = units.duration_text(one.took_s)
        if one.ok:
            terminal.say(f"✓ {one.channel} took it in {took}")
        else:
            terminal.say(f"▲ {one.channel} did not take it, after {took}")
            terminal.say_indented(one.problem)


def print_replay(one: Replay) -> None:
    """When the rule would have fired."""
    from pitstop.analyze import units  # noqa: PLC0415

    fired = [found for found in one.incidents if found.fired_s is not None]
    seen = [value for _, value in one.values if value is not None]
    looks = f"looked at {units.count_text(one.looks)} times, every {units.duration_text(one.step_s)}"
    if not fired:
        terminal.say(f"✓ '{one.rule}' would not have fired; {looks}.")
    else:
        times = "once" if len(fired) == 1 else f"{len(fired)} times"
        terminal.say(f"▲ '{one.rule}' would have fired {times}; {looks}.")
        for found in fired:
            end = "to the end" if found.ended_s is None else f"for {_lasted(found)}"
            terminal.say_indented(f"{moment_text(found.fired_s or 0)} {end}: {found.summary or named(found)}")
    if seen:
        limit = "" if one.limit is None else f", limit {measure(one.limit, one.unit)}"
        terminal.say_indented(f"values {measure(min(seen), one.unit)} … {measure(max(seen), one.unit)}{limit}")
    else:
        terminal.say_indented("nothing was recorded that it looks at; ask for a longer time with --last 30d")


def named(one: Incident) -> str:
    """The rule, and what of it."""
    about = {name: value for name, value in one.labels.items() if value and name not in _ASIDE}
    return " · ".join((one.rule, *(about[name] for name in sorted(about, key=lambda name: (name == "service", name)))))


def labels_text(labels: Mapping[str, str], without: Sequence[str] = ()) -> str:
    """``service=shop, route=GET /menu``."""
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if value and name not in without)


def measure(value: float | None, unit: str) -> str:
    """A value with its unit, as on the pages."""
    from pitstop.analyze import units  # noqa: PLC0415

    write = {"s": units.duration_text, "ratio": units.ratio_text, "bytes": units.bytes_text}.get(unit)
    if write is not None or value is None:
        return units.NO_DATA if value is None or write is None else write(value)
    text = units.count_text(value)
    return f"{text}{unit}" if unit.startswith("/") else f"{text} {unit}".rstrip()


def moment_text(ts_s: float) -> str:
    """A moment in UTC."""
    from pitstop.analyze import units  # noqa: PLC0415

    return units.time_text(ts_s)


def _state(one: Incident) -> str:
    if one.state not in {FIRING, PENDING}:
        return one.state
    if one.acked_by:
        return f"{one.state}, {one.acked_by} looks"
    if one.silenced:
        return f"{one.state}, silenced"
    return f"{one.state}, inhibited" if one.inhibited else one.state


def _lasted(one: Incident) -> str:
    from pitstop.analyze import units  # noqa: PLC0415

    end_s = time.time() if one.ended_s is None else one.ended_s
    return units.duration_text(max(1, round(end_s - (one.fired_s or one.began_s))))
