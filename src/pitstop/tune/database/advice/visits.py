"""How many rows a plan of SQLite visits: EXPLAIN QUERY PLAN says which way it goes, a sample how far.

The unit is one row read in order; https://sqlite.org/eqp.html has the words.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.tune.database.advice import reading as kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.database.advice.reading import Condition, Reading
    from pitstop.tune.database.advice.sample import Sample
    from pitstop.tune.database.advice.shape import Index

LOOKUP = 3.0  # rows, to find a row of the table that an index points to: rRun in whereLoopAddBtreeIndex, where.c
SEEK = 0.5  # rows a level of the tree, halving by halving: sqlite's estLog
COVERED = 0.5  # of a row: an index that holds all that is asked for is narrower than its table
SELECTIVE = 0.25  # of rows: an index that finds more is none to look up by, covering or not
BOUND = 0.25  # of rows within one bound of a range: whereRangeScanEst, where.c, without sqlite_stat4
SORTED = 0.3  # rows, for each comparison of a sort
_STEP = re.compile(r"(SCAN|SEARCH) (?:TABLE )?(\S+)(?: AS (\S+))?(?: USING (.+))?$")
_WAY = re.compile(r"(?:AUTOMATIC )?(?:PARTIAL )?(COVERING )?INDEX (\S+)?")
_LOOKED_UP = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)$")
_OF_ITS_OWN = (
    *("CO-ROUTINE", "MATERIALIZE", "LIST SUBQUERY", "SCALAR SUBQUERY"),
    *("COMPOUND", "LEFT", "RIGHT", "UNION", "EXCEPT", "INTERSECT", "MERGE"),
)


class _Step(NamedTuple):
    number: int
    parent: int
    detail: str


class Visits:
    """Reckons one plan. `index_of` knows existing indexes and those that might be, by name."""

    def __init__(
        self,
        reading: Reading,
        samples: dict[str, Sample],
        index_of: Callable[[str, str], Index | None],
        rows: float | None,
    ) -> None:
        self.reading = reading
        self.samples = samples
        self.index_of = index_of
        self.rows = rows
        self.used: set[str] = set()
        self._sorted = False
        self._taken: set[str] = set()

    def cost(self, plan: Sequence[Any]) -> float:
        """Rows visited, in the end; `used` has the names of indexes after that."""
        steps = [_Step(row[0], row[1], row[3].removesuffix(" LEFT-JOIN")) for row in plan]
        total, out = self._below(steps, 0, 1.0)
        limit = self._limit()
        if limit is not None and not self._sorted and not self.reading.folds and out > limit:
            total *= max(limit, 1.0) / out  # it ends as soon as it has enough
        return max(total, 1.0)

    def _limit(self) -> float | None:
        if not self.reading.limited:
            return None
        return self.reading.limit(self.rows)

    def _below(self, steps: Sequence[_Step], parent: int, loops: float) -> tuple[float, float]:
        """What all steps below `parent` cost, and how many rows come out."""
        total = 0.0
        for step in steps:
            if step.parent != parent:
                continue
            if step.detail.startswith("USE TEMP B-TREE"):
                self._sorted = True
                total += loops * math.log2(max(loops, 2.0)) * SORTED
            elif step.detail.startswith("MULTI-INDEX OR"):
                alias = self._alias_below(steps, step.number)
                total += loops * sum(self._step(each.detail) for each in self._deep(steps, step.number))
                loops *= self._left(alias) if alias else 1.0
            elif step.detail.startswith("CORRELATED"):
                total += self._below(steps, step.number, loops)[0]
            elif step.detail.startswith(_OF_ITS_OWN):
                total += self._below(steps, step.number, 1.0)[0]
            elif (found := _STEP.match(step.detail)) is not None:
                total += loops * self._step(step.detail) + self._made_for_it(step.detail)
                alias = self._alias(found[3] or found[2])
                loops *= self._left(alias) if alias else 1.0
                total += self._below(steps, step.number, loops)[0]
        return total, loops

    def _made_for_it(self, detail: str) -> float:
        """What an index costs that SQLite makes for one run of the statement."""
        found = _STEP.match(detail)
        alias = self._alias(found[3] or found[2]) if found and "AUTOMATIC" in detail else None
        if alias is None:
            return 0.0
        rows = max(self.samples[self.reading.sources[alias]].rows, 2.0)
        return rows * (1.0 + SORTED * math.log2(rows))

    def _deep(self, steps: Sequence[_Step], parent: int) -> list[_Step]:
        found = []
        for step in steps:
            if step.parent == parent:
                found += [step] if _STEP.match(step.detail) else self._deep(steps, step.number)
        return found

    def _alias_below(self, steps: Sequence[_Step], parent: int) -> str | None:
        for step in self._deep(steps, parent):
            found = _STEP.match(step.detail)
            if found is not None:
                return self._alias(found[3] or found[2])
        return None

    def _alias(self, written: str) -> str | None:
        name = written.strip('"').lower()
        return name if name in self.reading.sources else None

    def _step(self, detail: str) -> float:
        """Rows that one loop visits."""
        found = _STEP.match(detail)
        alias = self._alias(found[3] or found[2]) if found else None
        if found is None or alias is None:
            return 1.0
        table = self.reading.sources[alias]
        rows = max(self.samples[table].rows, 1.0)
        seek = SEEK * math.log2(rows + 1)
        using = found[4] or ""
        way = _WAY.match(using)
        looked = _LOOKED_UP.search(using)
        terms = looked[1].split(" AND ") if looked else []
        if way is not None and way[2] and not way[2].startswith("("):
            self.used.add(way[2])
        if found[1] == "SEARCH" and not terms:
            return seek + 1.0  # min() or max(): one end of the index, or of the table by its rowid
        if way is None:
            if found[1] == "SCAN":
                return rows
            return seek + (0.0 if any("=" in term for term in terms) else rows * BOUND ** len(terms))
        covering = bool(way[1])
        index = self.index_of(table, way[2] or "")
        held = rows * (self.samples[table].ratio(index.where) if index and index.where else 1.0)
        matched = held if found[1] == "SCAN" else self._matched(alias, index, terms, held)
        if found[1] == "SEARCH" and matched > SELECTIVE * rows and not self.reading.limited:
            return rows  # whatever the planner thinks: it might as well read the table
        return seek + matched * (COVERED if covering else 1.0 + LOOKUP)

    def _matched(self, alias: str, index: Index | None, terms: Sequence[str], held: float) -> float:
        """Entries that a search in `index` by `terms` goes through: ``a=?``, ``b>?``, ``<expr>=?``."""
        equal = sum("=" in term for term in terms)
        ranges = len(terms) - equal
        if index is None:
            return max(held * 0.01, 1.0)  # an automatic index: made for being selective
        sample = self.samples[self.reading.sources[alias]]
        texts = [key.text for key in index.keys[:equal]]
        share = sample.alike(texts) if texts else 1.0
        for key in index.keys[:equal]:
            known = next(
                (each for each in self._own(alias) if each.text == key.text and each.sql and not each.joined), None
            )
            if known is not None and known.sql != index.where:
                share *= sample.ratio(known.sql) / sample.alike([key.text])
        if ranges and equal < len(index.keys):
            share *= self._range(alias, index.keys[equal].text, sample)
        return max(held * min(share, 1.0), 1.0)

    def _range(self, alias: str, text: str, sample: Sample) -> float:
        """The share of rows within the bounds of `text`."""
        own = [each for each in self._own(alias) if each.text == text and each.kind in {kinds.RANGE, kinds.PREFIX}]
        share = 1.0
        for each in own:
            if each.sql:
                share *= sample.ratio(each.sql)
            elif (known := self._known_share(alias)) is not None:
                return known
            else:
                share *= BOUND ** max(len(each.parameters), 1)
        return share if own else BOUND

    def _known_share(self, alias: str) -> float | None:
        """What a call returned, of what equality leaves: then that is how wide its only range is."""
        if self.rows is None or self.reading.limited or self.reading.folds or len(self.reading.sources) != 1:
            return None
        sample = self.samples[self.reading.sources[alias]]
        left = sample.rows
        for each in self._own(alias):
            if each.kind not in {kinds.RANGE, kinds.PREFIX}:
                left *= self._share(each, sample)
        return min(1.0, self.rows / max(left, 1.0))

    def _own(self, alias: str) -> list[Condition]:
        return [each for each in self.reading.conditions if each.alias == alias and not each.group]

    def _share(self, each: Condition, sample: Sample) -> float:
        if each.sql and not each.joined:
            return sample.ratio(each.sql)
        if each.kind == kinds.EQUAL:
            return sample.alike([each.text])
        return BOUND ** max(len(each.parameters), 1) if each.kind == kinds.RANGE else 1.0

    def _left(self, alias: str) -> float:
        """Rows of `alias` that a loop passes on."""
        sample = self.samples[self.reading.sources[alias]]
        share = 1.0
        for each in self._own(alias):
            if not (each.joined and alias not in self._inner()):
                share *= self._share(each, sample)
        self._taken.add(alias)
        arms: dict[int, float] = {}
        for each in self.reading.conditions:
            if each.alias == alias and each.group:
                arms[each.group] = min(1.0, arms.get(each.group, 0.0) + self._share(each, sample))
        return max(sample.rows * share * math.prod(arms.values()), 1.0)

    def _inner(self) -> set[str]:
        """Aliases that are looked up from others: all but the first loop."""
        return set(self.reading.sources) if self._taken else set()
