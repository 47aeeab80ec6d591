"""What running processes answered, shaped and in words: a page and a terminal say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.analyze.reports import like_of, shaped
from pitstop.analyze.units import bytes_text, count_text, duration_text
from pitstop.model.errors import PitstopError
from pitstop.model.tuned import (
    CACHE_INVALIDATE,
    CACHE_WARM,
    MEMORY_LOOK,
    MEMORY_OPTIMIZE,
    InvalidateAnswer,
    LookAnswer,
    OptimizeAnswer,
    WarmAnswer,
)
from pitstop.record.desk import ask_all, targets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE_S = 5.0  # beyond what the answer itself takes: a process looks for requests once a second, and may be busy
LONGEST_LOOK_S = 60.0
MOST_NAMED = 5  # regions in a sentence
MOST_LINES = 40  # of allocations, that one shows
ANSWERS: dict[str, type] = {
    CACHE_INVALIDATE: InvalidateAnswer,
    CACHE_WARM: WarmAnswer,
    MEMORY_OPTIMIZE: OptimizeAnswer,
    MEMORY_LOOK: LookAnswer,
}


@dataclass(frozen=True, slots=True)
class Answered:
    """What one process answered; `body` is shaped as the ask's in `pitstop.model.tuned`."""

    pid: int
    service: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What all of them answered, and in words why others gave no answer."""

    what: str
    answers: tuple[Answered, ...]
    problems: tuple[str, ...]

    def total(self, name: str) -> int:
        """A count of all answers together."""
        return sum(one.body[name] for one in self.answers)

    @property
    def regions(self) -> dict[str, int]:
        """Values by cache region, of all answers together."""
        out: dict[str, int] = {}
        for one in self.answers:
            for name, entries in one.body["regions"].items():
                out[name] = out.get(name, 0) + entries
        return dict(sorted(out.items(), key=lambda item: (-item[1], item[0])))


def asked(
    what: str,
    arguments: Mapping[str, object],
    *,
    service: str | None = None,
    pid: int | None = None,
    takes_s: float = 0.0,
    waiting: Callable[[int, float], None] = lambda _left, _waited_s: None,
) -> Asked:
    """Ask every process of this machine that can answer `what`, of a service or that one, and wait for them.

    `takes_s` is how long an answer takes by itself. Raises NotFoundError when nobody can be asked, PitstopError with
    what the first says when none of them answers.
    """
    found, problems = ask_all(
        targets(pid=pid, service=service, what=what), what, arguments, patience_s=takes_s + PATIENCE_S, waiting=waiting
    )
    if not found and problems:
        raise PitstopError(problems[0])
    answers = tuple(
        Answered(target.pid, target.service, shaped(body, like_of(ANSWERS[what])))
        for target, body in sorted(found.items(), key=lambda item: item[0].pid)
        if isinstance(body, dict)
    )
    return Asked(what, answers, tuple(problems))


def gone_text(seen: Asked, *, dry_run: bool) -> str:
    """What an invalidation took, or would take: ``812 values in the memory of 2 processes went: 800 of product, …``."""
    verb = "would go" if dry_run else "went"
    where = f"{len(seen.answers)} process{'' if len(seen.answers) == 1 else 'es'}"
    entries = seen.total("entries")
    text = f"{count_text(entries)} value{'' if entries == 1 else 's'} in the memory of {where} {verb}"
    return text + _named(seen)


def warmed_text(seen: Asked, *, dry_run: bool) -> str:
    """What a warming made, or would make."""
    calls = seen.total("calls")
    verb = "would be made" if dry_run else "was made" if calls == 1 else "were made"
    return f"{count_text(calls)} value{'' if calls == 1 else 's'} {verb}{_named(seen)}"


def _named(seen: Asked) -> str:
    found = [f"{count_text(number)} of {region}" for region, number in seen.regions.items() if number]
    more = f" and of {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f": {', '.join(found[:MOST_NAMED])}{more}" if found else ""


def freed_text(one: Answered) -> str:
    """What optimizing came to in one process, honestly: memory may have grown."""
    who = f"process {one.pid} of {one.service}" if one.service else f"process {one.pid}"
    before, after = one.body["before_bytes"], one.body["after_bytes"]
    took = duration_text(one.body["took_s"])
    if before is None or after is None:
        return f"{who} did it in {took}; the system does not tell what that freed"
    change = bytes_text(abs(before - after))
    what = f"freed {change}" if after < before else "freed nothing" if after == before else f"grew by {change}"
    return f"{who} {what}, {bytes_text(before)} → {bytes_text(after)}, in {took}"


def step_texts(one: Answered) -> list[str]:
    """What each step was worth."""
    return [
        f"{step['name']}: {_freed(step['freed_bytes'])}" + (f"; {step['note']}" if step["note"] else "")
        for step in one.body["steps"]
    ]


def _freed(nbytes: int) -> str:
    return bytes_text(nbytes) if nbytes > 0 else "nothing"


class Grown(NamedTuple):
    """A code line that allocated what stayed: bytes and blocks that it holds more, and whether it went on growing."""

    line: str
    nbytes: int
    blocks: int
    bytes_per_min: float
    stays: bool


def looked_lines(seen: Asked) -> list[Grown]:
    """Code lines that grew, of all processes together, those that went on growing first."""
    out: dict[str, Grown] = {}
    for one in seen.answers:
        for line in one.body["lines"]:
            before = out.get(line["line"], Grown(line["line"], 0, 0, 0.0, stays=False))
            out[line["line"]] = Grown(
                line["line"],
                before.nbytes + line["first_bytes"] + line["second_bytes"],
                before.blocks + line["blocks"],
                before.bytes_per_min + line["bytes_per_min"],
                before.stays or line["stays"],
            )
    return sorted(out.values(), key=lambda one: (not one.stays, -one.nbytes, one.line))[:MOST_LINES]


def outside_texts(seen: Asked) -> list[str]:
    """Who seems to allocate what no Python object shows, in each process."""
    found = [shaped(one.body["outside"], {"line": "", "why": ""}) for one in seen.answers]
    return [f"{one['line']} holds what no Python object shows: {one['why']}" for one in found if one["line"]]
