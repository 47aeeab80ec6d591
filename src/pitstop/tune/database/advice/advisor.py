"""Advice for a database: from a workload to suggestions, with a planner that says what would be."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.tune.database.advice import foreign as foreign_keys
from pitstop.tune.database.advice import reading as kinds
from pitstop.tune.database.advice.answer import ANALYZE, CREATE, Suggestion, size_text, without_values
from pitstop.tune.database.advice.reading import read
from pitstop.tune.database.advice.search import Asked, wanted
from pitstop.tune.database.advice.weigh import WORTH, Statement, Weighed, proposed, weighed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.record.lexing import Dialect
    from pitstop.tune.database.advice.planner import Planner
    from pitstop.tune.database.advice.shape import Index
    from pitstop.tune.database.advice.workload import Workload

_LOOK_UP = "rows are looked up instead of the whole table being read"
LONGEST_NAME = 63  # PostgreSQL's; SQLite has no limit


class Advisor:
    """Collects suggestions and refusals for one database."""

    def __init__(self, planner: Planner, dialect: Dialect) -> None:
        self.planner = planner
        self.dialect = dialect
        self.suggestions: list[Suggestion] = []
        self.refused: list[str] = []
        self.statements: list[Statement] = []

    def read(self, workload: Sequence[Workload]) -> None:
        """Reads all statements; what cannot be read or concerns no table here is refused with the reason."""
        for work in workload:
            try:
                reading = read(work.statement, self.dialect, self.planner.catalog)
            except SettingError as error:
                self.refused.append(str(error))
                continue
            if reading.tables():
                self.statements.append(Statement(work, reading, Asked(self.planner, reading, work.rows_per_call)))
            self._inverted(reading)

    def _inverted(self, reading: kinds.Reading) -> None:
        for each in reading.conditions:
            if each.kind == kinds.INVERTED:
                self.refused.append(
                    f"{each.table} ({without_values(each.text)}): only an inverted index (GIN) would serve "
                    f"'{reading.text[:60]}', and that cannot be tried without building it; try it on a copy"
                )

    def stale(self) -> set[str]:
        """Tables whose statistics must be made first; what is reckoned with them is worth nothing."""
        stale = set()
        concerned = {name for each in self.statements for name in each.reading.tables()}
        for table in self.planner.catalog.tables.values():
            if table.stale and table.name in concerned:
                stale.add(table.name)
                self.suggestions.append(
                    Suggestion(
                        kind=ANALYZE,
                        table=table.name,
                        reason=table.stale,
                        gain="plans by what the table holds now; ask for advice again after that",
                        cost="a sample of the table is read",
                        sql=f"ANALYZE {table.sql}",
                        undo="",
                        statements=tuple(each.work.statement for each in self.statements
                                         if table.name in each.reading.tables()),
                    )
                )  # fmt: skip
        return stale

    def indexes(self, stale: set[str], progress: Callable[[int, int], None] | None = None) -> None:
        """Tries indexes for all statements, and weighs those that help."""
        wants: list[tuple[Statement, Sequence[Index]]] = []
        for number, each in enumerate(self.statements):
            if progress is not None:
                progress(number, len(self.statements))
            if each.reading.tables() & stale:
                continue
            try:
                wants.append((each, wanted(each.asked)))
            except SettingError as error:
                self.refused.append(str(error))
        ready = [each for each, _ in wants]
        found = proposed(wants)
        kept, refused = weighed(self.planner, ready, list(found))
        together = [look.index for look in kept]
        for look in kept:
            self._create(look, ready, together)
        for look in refused:
            self.refused.append(_refusal(look))
        self._without_use(ready, found)
        self._foreign(ready, together, stale)

    def _without_use(self, ready: Sequence[Statement], found: dict[Index, list[Statement]]) -> None:
        """Says of large reads for which nothing was found that nothing was."""
        served = {id(each) for several in found.values() for each in several}
        for each in ready:
            conditions = [one for one in each.reading.conditions if one.kind != kinds.INVERTED]
            if id(each) in served or not conditions:
                continue
            table = self.planner.catalog.tables[conditions[0].table]
            if table.rows < self.planner.row_scale:
                self.refused.append(f"{table.name}: {table.rows:,.0f} rows are read in no time without an index")
            elif each.asked.plan(()).cost > self.planner.scan_cost(table.name) * 0.5:
                self.refused.append(f"{table.name}: no index would halve the cost of '{each.reading.text[:60]}'")

    def _foreign(self, ready: Sequence[Statement], suggested: Sequence[Index], stale: set[str]) -> None:
        for foreign, index in foreign_keys.uncovered(self.planner, suggested):
            if foreign.table in stale:
                continue
            look, deletes = foreign_keys.weigh_foreign(self.planner, ready, foreign, index)
            if deletes and look.worth:
                reason = (
                    f"each delete of {foreign.parent} reads all of {foreign.table} to see that nothing points to it"
                )
                self._create(look, ready, suggested, f"{reason}: {deletes:,.0f} deletes")
            else:
                self.refused.append(foreign_keys.refusal(look, foreign, deletes))

    def _create(self, look: Weighed, ready: Sequence[Statement], together: Sequence[Index], reason: str = "") -> None:
        """`together`: all indexes that are suggested, for each statement may need more than one."""
        planner, index = self.planner, look.index
        name = self._name(index)
        before = sum(each.asked.plan(()).cost * each.work.calls for each in look.statements)
        after = sum(each.asked.plan(together).cost * each.work.calls for each in look.statements)
        ratio = before / after if after and not reason else None
        seconds = sum(each.work.total_s for each in look.statements)
        of_time = f"; {seconds:,.1f} s were spent on it" if seconds else ""
        writes = sum(each.work.calls for each in ready if each.reading.writes == index.table)
        paid = (
            f"what writes pay is {_share(look.paid / look.saved)} of what reads gain"
            if writes
            else "no writes were recorded"
        )
        rows = planner.catalog.tables[index.table].rows
        self.suggestions.append(
            Suggestion(
                kind=CREATE,
                table=index.table,
                reason=reason or f"{_several(len(look.statements))} much of {rows:,.0f} rows for few",
                gain=f"the plan costs 1/{ratio:,.0f} of what it does now{of_time}" if ratio else _LOOK_UP,
                cost=f"about {size_text(planner.nbytes(index))}; {paid}",
                sql=planner.create_sql(index, name),
                undo=planner.drop_sql(name, index.table),
                statements=tuple(each.work.statement for each in look.statements),
                index=index,
                name=name,
                gain_ratio=ratio,
            )
        )

    def _name(self, index: Index) -> str:
        """As PostgreSQL would choose, but one that is not taken."""
        words = [index.table.rpartition(".")[2], *(key.column or key.text for key in index.keys)]
        name = re.sub(r"\W+", "_", "_".join(words)).strip("_").lower()
        name += "_partial" if index.where else ""
        taken = {each.name for each in self.planner.catalog.indexes} | {each.name for each in self.suggestions}
        if len(name) + len("_idx") > LONGEST_NAME or f"{name}_idx" in taken or not name.isascii():
            digest = hashlib.blake2s(index.definition.encode(), digest_size=4).hexdigest()
            name = f"{re.sub('[^a-z0-9_]', '', name)[:40]}_{digest}"
        return f"i_{name}_idx" if name[:1].isdigit() else f"{name}_idx"


def _refusal(look: Weighed) -> str:
    what = f"{look.index.table} {without_values(look.index.definition)}"
    if look.saved < WORTH * look.paid:
        return f"{what}: writes would pay {look.paid:,.0f} for {look.saved:,.0f} that reads gain (in units of cost)"
    return f"{what}: the few calls that were recorded gain less than creating it costs"


def _share(ratio: float) -> str:
    return "less than 0.1 %" if ratio < 0.001 else f"{100 * ratio:.1f} %"  # noqa: PLR2004  what it says


def _several(number: int) -> str:
    return "a statement reads" if number == 1 else f"{number} statements read"
