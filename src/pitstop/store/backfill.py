"""History written through the same door as the present: for demos, imports and measurements."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pitstop.model.columns import Batch, Rollups

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.model.protocols import Store

BATCH_ROWS = 5000
ROUNDS = 100_000


def backfill(store: Store, parts: Iterable[Rollups]) -> None:
    """Append all `parts`, in batches of a worker of its own, then keep house until all is folded.

    Cheapest into a fresh store, whose tiers nothing has passed yet: 100,000 rows take 6 … 9 s, most of it
    folding. Raises StoreError.
    """
    worker = f"backfill-{os.urandom(8).hex()}"
    seq = 0
    for rollups in parts:
        order = sorted(range(len(rollups)), key=rollups.ts.__getitem__)
        for at in range(0, len(order), BATCH_ROWS):
            seq += 1
            store.append(Batch(worker, seq, _picked(rollups, order[at : at + BATCH_ROWS])))
    for _ in range(ROUNDS):
        done = store.upkeep()
        if not (done.folded_rows or done.deleted_rows):
            return


def _picked(rollups: Rollups, places: Sequence[int]) -> Rollups:
    out = Rollups()
    out.ts = [rollups.ts[i] for i in places]
    out.series = [rollups.series[i] for i in places]
    out.count = [rollups.count[i] for i in places]
    out.sum_ns = [rollups.sum_ns[i] for i in places]
    out.min_ns = [rollups.min_ns[i] for i in places]
    out.max_ns = [rollups.max_ns[i] for i in places]
    out.nbytes = [rollups.nbytes[i] for i in places]
    out.hist = [rollups.hist[i] for i in places]
    return out
