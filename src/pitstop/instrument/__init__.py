"""Integrations: one file each, no framework imported before the host has done so."""

from pitstop.instrument.auto import instrument, uninstrument
from pitstop.instrument.options import OPTIONS, Options

__all__ = ["OPTIONS", "Options", "instrument", "uninstrument"]
