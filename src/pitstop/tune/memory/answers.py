"""What this process may be asked about its memory: `memory.optimize`, `memory.look`, `memory.types`.

Answers are made in a thread of their own (`pitstop.record.asks`), so a look may take its seconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pitstop.model.errors import SettingError
from pitstop.record.asks import can_answer
from pitstop.tune.memory.bursts import SECONDS, grown_by_line
from pitstop.tune.memory.census import census
from pitstop.tune.memory.holders import holders
from pitstop.tune.memory.ledger import grown_lines
from pitstop.tune.memory.optimizing import optimize
from pitstop.tune.memory.readings import held

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ROWS = 30
OF_PYTHON = 2 / 3  # of the seconds of a look


def answer_optimize(_arguments: Mapping[str, Any]) -> dict[str, object]:
    """``{before_bytes, after_bytes, freed_bytes, took_s, steps: [{name, freed_bytes, took_s, note}]}``."""
    done = optimize()
    return {
        "before_bytes": done.before_bytes,
        "after_bytes": done.after_bytes,
        "freed_bytes": done.freed_bytes,
        "took_s": done.took_s,
        "steps": [step._asdict() for step in done.steps],
    }


def answer_look(arguments: Mapping[str, Any]) -> dict[str, object]:
    """``{seconds, lines: [{line, bytes_per_min, first_bytes, second_bytes, blocks, stays}], outside: {line, why}}``.

    Takes `seconds` (10 by default, 120 at most) and `outside`: whether the last third of them is for memory that no
    Python object shows.
    """
    try:
        seconds = float(arguments.get("seconds", SECONDS))
    except (TypeError, ValueError):
        raise SettingError(f"seconds = {arguments.get('seconds')!r} is no number") from None
    outside = bool(arguments.get("outside", True))
    lines = grown_by_line(seconds * OF_PYTHON if outside else seconds)
    answer: dict[str, object] = {
        "seconds": seconds,
        "lines": [each._asdict() | {"stays": each.stays} for each in lines],
        "outside": None,
    }
    if outside:
        line, why = grown_lines(seconds * (1 - OF_PYTHON))
        if line:
            answer["outside"] = {"line": line, "why": why}
    return answer


def answer_types(_arguments: Mapping[str, Any]) -> dict[str, object]:
    """``{held_bytes, objects, types: [{type, count}], containers: [{where, length}]}``, the most first."""
    found, _ = holders()
    counted = census(time.time())
    now = held()
    containers = sorted(found.values(), key=lambda holder: -holder.length)[:MOST_ROWS]
    types = sorted(counted.counts.items(), key=lambda row: -row[1])
    return {
        "held_bytes": now.nbytes if now else None,
        "objects": sum(counted.counts.values()),
        "types": [{"type": name, "count": count} for name, count in types[:MOST_ROWS]],
        "containers": [
            {"where": f"{each.path}: {each.kind}" + (f" of {each.entry}" if each.entry else ""), "length": each.length}
            for each in containers
        ],
    }


def answer_memory() -> None:
    """Answer from now on."""
    can_answer("memory.optimize", answer_optimize)
    can_answer("memory.look", answer_look)
    can_answer("memory.types", answer_types)
