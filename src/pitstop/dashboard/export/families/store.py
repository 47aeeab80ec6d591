"""The store: size, age, housekeeping."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pitstop.dashboard.export.family import GAUGE, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts

_FILE = "sqlite:///"


def families(facts: Facts) -> Iterator[Family]:
    """From the store's own report, which counts no rows."""
    size = facts.size
    for name, text, unit, value in (
        ("pitstop_store_up", "Whether the store can be used.", "", size.state == "ok"),
        ("pitstop_store_data_bytes", "What its data takes.", "bytes", size.data_bytes),
        ("pitstop_store_log_bytes", "What its write-ahead log takes.", "bytes", size.log_bytes),
        ("pitstop_store_free_bytes", "What is free within it.", "bytes", size.free_bytes),
        ("pitstop_store_series", "Series that it knows.", "", size.series),
        ("pitstop_store_schema_version", "Version of its tables.", "", size.schema),
        ("pitstop_store_lease_timestamp_seconds", "Until when somebody keeps house.", "seconds", size.lease_until_s),
    ):
        yield Family(name, GAUGE, text, unit, values=[((), float(value))])
    path = size.url.removeprefix(_FILE)
    if path != size.url:
        with suppress(OSError):
            disk = shutil.disk_usage(Path(path).parent)
            told = "of the disk that the store is on"
            yield Family(
                "pitstop_store_disk_free_bytes", GAUGE, f"What is free {told}.", "bytes", values=[((), disk.free)]
            )
            ratio = disk.free / disk.total
            yield Family(
                "pitstop_store_disk_free_ratio", GAUGE, f"Share {told} that is free.", "ratio", values=[((), ratio)]
            )
    for name, text, unit, values in (
        ("pitstop_store_rows", "Rows by table.", "", [(table.name, table.rows) for table in size.tables]),
        ("pitstop_store_oldest_timestamp_seconds", "The oldest row of each table.", "seconds",
         [(table.name, table.oldest_s) for table in size.tables]),
        ("pitstop_store_newest_timestamp_seconds", "The newest row of each table.", "seconds",
         [(table.name, table.newest_s) for table in size.tables]),
    ):  # fmt: skip
        found = [((table,), float(value)) for table, value in values if value is not None]
        yield Family(name, GAUGE, text, unit, ("table",), found)
