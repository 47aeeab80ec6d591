"""The persistent level: an SQLite file that all processes of a machine share, and that outlives them."""

from pitstop.tune.cache.file.level import FileLevel

__all__ = ["FileLevel"]
