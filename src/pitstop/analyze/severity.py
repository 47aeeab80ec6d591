"""How bad is a latency? Judged by its P95, as in the requirement R19."""

from __future__ import annotations

from typing import Literal

WARNING_FROM_S = 0.1  # R19; also where an answer stops to feel instant (Nielsen, "Usability Engineering", 1993, ch. 5)
SLOW_FROM_S = 0.5  # R19; also the P95 objective of R34
CRITICAL_FROM_S = 1.0  # R19; also where a person's flow of thought breaks (Nielsen)

Severity = Literal["good", "warning", "slow", "critical", "no data"]


def severity(p95_s: float | None) -> Severity:
    """Good < 100 ms ≤ warning < 500 ms ≤ slow < 1 s ≤ critical; "no data" for None."""
    if p95_s is None:
        return "no data"
    if p95_s < WARNING_FROM_S:
        return "good"
    if p95_s < SLOW_FROM_S:
        return "warning"
    return "slow" if p95_s < CRITICAL_FROM_S else "critical"
