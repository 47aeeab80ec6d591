"""The words all rooms share: records, protocols, errors, clock, settings. Imports nothing of ours."""

from pitstop.model.clock import Clock, SystemClock
from pitstop.model.columns import Batch, Errors, Events, Profiles, Reports, Rollups, Samples, Traces
from pitstop.model.errors import (
    EgressError,
    EgressRefusedError,
    NotFoundError,
    PitstopError,
    SettingError,
    StoreCorruptError,
    StoreError,
    StoreNewerError,
    StoreUnavailableError,
    TaskError,
)
from pitstop.model.protocols import Store, StoreSize, TableSize, Upkeep
from pitstop.model.series import OTHER, UNMATCHED, Match, Series
from pitstop.model.trace import Failure, Span, TraceMatch
from pitstop.model.version import __version__
from pitstop.model.window import Window, parse_duration_s

__all__ = [
    "OTHER",
    "UNMATCHED",
    "Batch",
    "Clock",
    "EgressError",
    "EgressRefusedError",
    "Errors",
    "Events",
    "Failure",
    "Match",
    "NotFoundError",
    "PitstopError",
    "Profiles",
    "Reports",
    "Rollups",
    "Samples",
    "Series",
    "SettingError",
    "Span",
    "Store",
    "StoreCorruptError",
    "StoreError",
    "StoreNewerError",
    "StoreSize",
    "StoreUnavailableError",
    "SystemClock",
    "TableSize",
    "TaskError",
    "TraceMatch",
    "Traces",
    "Upkeep",
    "Window",
    "__version__",
    "parse_duration_s",
]
