"""Integrations: one file each, no framework imported before the host has done so.

The package is callable: ``app = pitstop.instrument(app)`` is `pitstop.instrument.auto.instrument`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from pitstop.instrument.auto import instrument, uninstrument
from pitstop.instrument.options import OPTIONS, Options

if TYPE_CHECKING:
    from pitstop.record.recorder import Recorder

A = TypeVar("A")

__all__ = ["OPTIONS", "Options", "instrument", "uninstrument"]


class _CallablePackage(type(sys)):  # type: ignore[misc]  # a module's class may be a subclass of its own: Python's data model, 3.3.2.1
    def __call__(self, app: A, recorder: Recorder | None = None, *, exclude: tuple[str, ...] | None = None) -> A:
        if recorder is None:
            return instrument(app, exclude=exclude)
        return instrument(app, recorder, exclude=exclude)


sys.modules[__name__].__class__ = _CallablePackage
