"""One look at one rule over what a test recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pitstop.watch.conditions import KINDS
from pitstop.watch.rules import parse_rule
from pitstop.watch.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pitstop.model import Store
    from pitstop.watch.conditions.reading import Reading


def looked(store: Store, at_s: float, *, gauges: Mapping[str, float] | None = None, **table: object) -> list[Reading]:
    """What the rule in `table` sees at `at_s`."""
    rule = parse_rule({"name": "tested", **table}, "test")
    sight = Sight(store, int(at_s), gauges=lambda _: gauges or {})
    return list(KINDS[rule.kind].read(rule, sight))


@pytest.fixture
def look() -> Callable[..., list[Reading]]:
    """Look at the rule whose keys are given, at a moment of a store."""
    return looked
