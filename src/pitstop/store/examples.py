"""How long examples are kept, and how many: what traces and errors show has been counted exactly elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pitstop.model.trace import INGESTED, SAMPLE

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = (SAMPLE, INGESTED)
"""Reasons of traces that show the usual: they are kept shorter and give way first."""

PLAIN_KEPT_S = 14 * 86_400
THINNING = ((3600, 600), (86_400, 3600), (3 * 86_400, 6 * 3600))
"""Past such an age, one sample of a series and one error of a failure is enough for such an interval, seconds.

Workers keep up to one sample a minute and route each: eight workers of 20 routes 230,000 a day.
"""

REPORTS_KEPT_S = 14 * 86_400
"""What parts said of themselves is a state, and a worker that is gone has none."""

TRACE_BYTES = 256_000_000  # of spans in one store: some 200,000 traces of 20 spans

FEW_STACKS = 100  # so many are kept by name in any case
MOST_STACKS = 5000
STACKS_SHARE = 0.98  # of an interval's samples, which those kept by name have at least, up to MOST_STACKS

Key = TypeVar("Key")


def largest(samples: Mapping[Key, int]) -> set[Key]:
    """The stacks of an interval that are kept by name, by their samples; all others are added up as one."""
    if len(samples) <= FEW_STACKS:
        return set(samples)
    kept: set[Key] = set()
    enough, have = STACKS_SHARE * sum(samples.values()), 0
    for stack in sorted(samples, key=samples.__getitem__, reverse=True):
        if len(kept) >= FEW_STACKS and (have >= enough or len(kept) >= MOST_STACKS):
            break
        kept.add(stack)
        have += samples[stack]
    return kept
