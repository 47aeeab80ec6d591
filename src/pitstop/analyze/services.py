"""The services there are, and which of them did something lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitstop.model import Match
from pitstop.model.series import HTTP

if TYPE_CHECKING:
    from pitstop.model import Store, Window


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service that is still kept; `requests` 0 when it was quiet in the window."""

    service: str
    requests: int


def services(store: Store, window: Window) -> list[ServiceRow]:
    """Every service that is still kept, the busiest in `window` first."""
    requests = dict.fromkeys(store.services(), 0)
    seen = store.rollups(window, Match(kind=HTTP), hist=False)
    for series, count in zip(seen.series, seen.count, strict=True):
        requests[series.service] = requests.get(series.service, 0) + count
    rows = [ServiceRow(service, count) for service, count in requests.items()]
    return sorted(rows, key=lambda row: (-row.requests, row.service))
