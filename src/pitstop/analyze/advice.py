"""What should change in a database? The newest advice on each, as `pitstop advise` or a service has written it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.reports import like_of, reports
from pitstop.model import Window
from pitstop.model.tuned import ADVICE_REPORT, AdviceBody

if TYPE_CHECKING:
    from pitstop.model import Store

KEPT_S = 90 * 86_400  # advice holds until other is given, however short the range that is looked at


class AdviceItem(NamedTuple):
    """One thing to do; see `pitstop.model.tuned.AdviceItem`."""

    kind: str
    table: str
    reason: str
    gain: str
    cost: str
    sql: str
    undo: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """What was advised of one database at `given_at`, Unix seconds; `refused` was tried and is not worth it."""

    database: str
    service: str
    dialect: str
    given_at: int
    items: tuple[AdviceItem, ...]
    refused: tuple[str, ...]


def advice(store: Store, until_s: int, service: str | None = None) -> list[Advice]:
    """The newest advice on each database in the 90 days before `until_s`, by name."""
    out: dict[str, Advice] = {}
    window = Window(max(0, until_s - KEPT_S), until_s)
    for one in reports(store, window, ADVICE_REPORT, service, like=like_of(AdviceBody)):
        before = out.get(one.name)
        if before is None or before.given_at < one.ts:
            items = tuple(
                AdviceItem(**(item | {"statements": tuple(item["statements"])})) for item in one.body["items"]
            )
            refused = tuple(one.body["refused"])
            out[one.name] = Advice(one.name, one.service, one.body["dialect"], one.ts, items, refused)
    return [out[name] for name in sorted(out)]
