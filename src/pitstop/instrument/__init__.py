"""Integrations: one file each; nothing of a framework, nor of an integration, is imported before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pitstop.instrument.auto import instrument, uninstrument
    from pitstop.instrument.hooks import status

__all__ = ["instrument", "status", "uninstrument"]


def __getattr__(name: str) -> Any:
    if name == "status":
        from pitstop.instrument import hooks  # noqa: PLC0415

        return hooks.status
    if name in __all__:
        from pitstop.instrument import auto  # noqa: PLC0415

        return getattr(auto, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
