"""The words all rooms share: records, protocols, errors, clock, settings. Imports nothing of ours."""

from pitstop.model.clock import Clock, SystemClock
from pitstop.model.columns import Batch, Events, Rollups, Samples
from pitstop.model.errors import (
    NotFoundError,
    PitstopError,
    SettingError,
    StoreCorruptError,
    StoreError,
    StoreNewerError,
    StoreUnavailableError,
)
from pitstop.model.protocols import Store, StoreSize, TableSize, Upkeep
from pitstop.model.series import OTHER, UNMATCHED, Match, Series
from pitstop.model.version import __version__
from pitstop.model.window import Window, parse_duration_s

__all__ = [
    "OTHER",
    "UNMATCHED",
    "Batch",
    "Clock",
    "Events",
    "Match",
    "NotFoundError",
    "PitstopError",
    "Rollups",
    "Samples",
    "Series",
    "SettingError",
    "Store",
    "StoreCorruptError",
    "StoreError",
    "StoreNewerError",
    "StoreSize",
    "StoreUnavailableError",
    "SystemClock",
    "TableSize",
    "Upkeep",
    "Window",
    "__version__",
    "parse_duration_s",
]
