"""Integrations: one file each; nothing of a framework, nor of an integration, is imported before it is needed.

The package is callable: ``app = pitstop.instrument(app)`` is `pitstop.instrument.auto.instrument`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pitstop.instrument.auto import instrument, uninstrument
    from pitstop.instrument.standing import status
    from pitstop.record.recorder import Recorder

A = TypeVar("A")

__all__ = ["instrument", "status", "uninstrument"]


def __getattr__(name: str) -> Any:
    if name == "status":
        from pitstop.instrument import standing  # noqa: PLC0415

        return standing.status
    if name in __all__:
        from pitstop.instrument import auto  # noqa: PLC0415

        return getattr(auto, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _CallablePackage(ModuleType):  # Python's data model, 3.3.2.1: a module's class may be a subclass of its own
    def __call__(self, app: A, recorder: Recorder | None = None, *, exclude: tuple[str, ...] | None = None) -> A:
        from pitstop.instrument import auto  # noqa: PLC0415

        if recorder is None:
            return auto.instrument(app, exclude=exclude)
        return auto.instrument(app, recorder, exclude=exclude)


sys.modules[__name__].__class__ = _CallablePackage
