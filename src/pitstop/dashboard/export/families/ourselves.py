"""This exposition: how large it is, what it leaves out, and what sends it."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from pitstop.dashboard.export.family import COUNTER, GAUGE, Family, shown
from pitstop.dashboard.export.totals import MOST_PER_KIND
from pitstop.model import __version__
from pitstop.model.series import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts

WARN_SERIES = 1000  # of a service and kind: beyond it Prometheus gets dear, as the rule of kind cardinality has it
WARN_BYTES = 100_000_000  # of a service
SERIES_BYTES = 600  # of one with a histogram of some 50 values in memory: store/memory.py


def families(facts: Facts) -> Iterator[Family]:
    """Caps and their state, cost and failures; of the scrape before this one."""
    yield Family(
        "pitstop_build_info", GAUGE, "Always one; what runs.", labels=("version", "python_version"),
        values=[((__version__, sys.version.split()[0]), 1.0)],
    )  # fmt: skip
    yield from _caps(facts)
    before = facts.ourselves
    for name, text, unit, value in (
        ("pitstop_export_duration_seconds", "How long the last exposition took.", "seconds", before.took_s),
        ("pitstop_export_size_bytes", "How large it was.", "bytes", before.size_bytes),
        ("pitstop_export_samples", "How many lines of values it had.", "", before.samples),
    ):
        yield Family(name, GAUGE, text, unit, values=[((), float(value))] if before.scrapes else ())
    yield Family(
        "pitstop_export_scrapes", COUNTER, "Expositions made since this process began.", values=[((), before.scrapes)]
    )
    yield Family(
        "pitstop_export_failures", COUNTER, "Times that an exporter failed and was left out.", labels=("exporter",),
        values=[((name,), number) for name, number in before.failures.items()],
    )  # fmt: skip
    if before.sent_s is None and not before.send_failures:
        return
    for name, text, number in (
        ("pitstop_remote_write_samples", "Samples that the receiver took.", before.sent),
        ("pitstop_remote_write_failures", "Requests that were not taken.", before.send_failures),
        ("pitstop_remote_write_dropped_samples", "Samples that no receiver got.", before.send_dropped),
    ):
        yield Family(name, COUNTER, text, values=[((), number)])
    yield Family(
        "pitstop_remote_write_sent_timestamp_seconds", GAUGE, "When something was last taken.", "seconds",
        values=[((), before.sent_s)] if before.sent_s is not None else (),
    )  # fmt: skip


def _caps(facts: Facts) -> Iterator[Family]:
    series = Counter((shown(one.service), one.kind) for rows in facts.counted.rows.values() for one in set(rows.series))
    yield Family(
        "pitstop_cardinality_series", GAUGE, "Series that are counted.", labels=("service_name", "kind"),
        values=[(labels, float(number)) for labels, number in sorted(series.items())],
    )  # fmt: skip
    sizes: Counter[str] = Counter()
    for (service, _), number in series.items():
        sizes[service] += number * SERIES_BYTES
    yield Family(
        "pitstop_cardinality_bytes", GAUGE, "What the series of a service take in memory wherever they are held.",
        "bytes", ("service_name",), [((service,), float(size)) for service, size in sorted(sizes.items())],
    )  # fmt: skip
    yield Family(
        "pitstop_cardinality_series_limit", GAUGE, "Most series of one kind; more share the name __other__.",
        values=[((), float(MOST_PER_KIND))],
    )  # fmt: skip
    folded = {
        kind: sum(count for one, count in zip(rows.series, rows.count, strict=True) if one.name == OTHER)
        for kind, rows in facts.counted.rows.items()
    }
    yield Family(
        "pitstop_cardinality_folded_events", COUNTER, "Events counted under the name __other__, by kind.",
        labels=("kind",), values=[((kind,), number) for kind, number in sorted(folded.items())],
    )  # fmt: skip
    kinds = facts.counted.series.values()
    states = {
        "series": max(series.values(), default=0) > WARN_SERIES,
        "bytes": max(sizes.values(), default=0) > WARN_BYTES,
        "cap": max(kinds, default=0) >= MOST_PER_KIND or any(folded.values()),
    }
    yield Family(
        "pitstop_cardinality_warning", GAUGE,
        "Whether a service has more than 1,000 series of a kind, or 100 MB of them, or a cap has folded names.",
        labels=("limit",), values=[((limit,), float(beyond)) for limit, beyond in states.items()],
    )  # fmt: skip
