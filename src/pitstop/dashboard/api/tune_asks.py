"""The shapes of what processes are told to do, and of what they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from pitstop.analyze.asked import LONGEST_LOOK_S, freed_text, gone_text, looked_lines, outside_texts, warmed_text
from pitstop.dashboard.api.shapes import UpkeepOut

if TYPE_CHECKING:
    from pitstop.analyze.asked import Asked

LONGEST_TEXT = 400
MOST_TAGS = 100
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class InvalidateIn(BaseModel):
    """What goes: whatever has one of the tags, or is of that tenant or region, or everything.

    With `dry_run` it is only counted.
    """

    service: Text | None = None
    region: Text | None = None
    tags: list[Text] = Field(default_factory=list, max_length=MOST_TAGS)
    tenant: Text | None = None
    everything: bool = False
    dry_run: bool = True

    def chosen(self) -> dict[str, object]:
        """What a process is asked."""
        return self.model_dump(exclude_none=True, exclude={"service"})

    def names(self) -> str:
        """What it is, for the log."""
        chosen = [f"{name}={value!r}" for name, value in self.chosen().items() if name != "dry_run" and value]
        return " ".join(chosen)


class WarmIn(BaseModel):
    """Which region is made ready before it is asked for; all when left out."""

    service: Text | None = None
    region: Text | None = None
    dry_run: bool = True


class CountedOut(BaseModel):
    """Values that went or were made, or would be, by region; `problems` say who did not answer."""

    dry_run: bool
    processes: list[int]
    entries: int
    regions: dict[str, int]
    text: str
    problems: list[str]

    @classmethod
    def gone(cls, seen: Asked, *, dry_run: bool) -> CountedOut:
        """Of an invalidation."""
        return cls._of(seen, seen.total("entries"), gone_text(seen, dry_run=dry_run), dry_run=dry_run)

    @classmethod
    def warmed(cls, seen: Asked, *, dry_run: bool) -> CountedOut:
        """Of a warming."""
        return cls._of(seen, seen.total("calls"), warmed_text(seen, dry_run=dry_run), dry_run=dry_run)

    @classmethod
    def _of(cls, seen: Asked, entries: int, text: str, *, dry_run: bool) -> CountedOut:
        return cls(
            dry_run=dry_run, processes=[one.pid for one in seen.answers], entries=entries, regions=seen.regions,
            text=text, problems=list(seen.problems),
        )  # fmt: skip


class ServiceIn(BaseModel):
    """Of which service; of all when left out."""

    service: Text | None = None


class StepOut(BaseModel):
    """What one step was worth."""

    name: str
    freed_bytes: int
    took_s: float
    note: str


class FreedOut(BaseModel):
    """What optimizing came to in one process; bytes null where the system does not tell, negative where it grew."""

    pid: int
    service: str
    before_bytes: int | None
    after_bytes: int | None
    freed_bytes: int | None
    took_s: float
    steps: list[StepOut]
    text: str


class OptimizedOut(BaseModel):
    """What it came to in each, and who did not answer."""

    processes: list[FreedOut]
    problems: list[str]

    @classmethod
    def of(cls, seen: Asked) -> OptimizedOut:
        """The answers as the API writes them."""
        rows = []
        for one in seen.answers:
            before, after = one.body["before_bytes"], one.body["after_bytes"]
            freed = None if before is None or after is None else before - after
            rows.append(FreedOut(pid=one.pid, service=one.service, freed_bytes=freed, text=freed_text(one), **one.body))
        return cls(processes=rows, problems=list(seen.problems))


class AllOptimizedOut(BaseModel):
    """Housekeeping of the store, and memory; `memory` null: no process here can be asked."""

    store: UpkeepOut
    memory: OptimizedOut | None
    note: str


class LookIn(BaseModel):
    """For how long to note allocations."""

    service: Text | None = None
    seconds: float = Field(default=10.0, ge=0.1, le=LONGEST_LOOK_S)


class GrownOut(BaseModel):
    """A code line that allocated what stayed; `stays`: it grew in both halves of the look."""

    line: str
    bytes: int
    blocks: int
    bytes_per_min: float
    stays: bool


class LookedOut(BaseModel):
    """Code lines of all processes together, those that went on growing first."""

    seconds: float
    processes: list[int]
    lines: list[GrownOut]
    outside: list[str]
    problems: list[str]

    @classmethod
    def of(cls, seen: Asked, seconds: float) -> LookedOut:
        """The answers as the API writes them."""
        lines = [
            GrownOut(
                line=one.line, bytes=one.nbytes, blocks=one.blocks, bytes_per_min=one.bytes_per_min, stays=one.stays
            )
            for one in looked_lines(seen)
        ]
        return cls(
            seconds=seconds,
            processes=[one.pid for one in seen.answers],
            lines=lines,
            outside=outside_texts(seen),
            problems=list(seen.problems),
        )
