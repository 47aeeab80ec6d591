"""Putting a recorded method in the place of a library's own, and the library's own back.

Kept apart from `pitstop.instrument.patches`, so that a process without a web framework imports none of theirs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Wrap = Callable[[Any], Any]
    Point = tuple[str, str, Wrap]  # class within the module ("": the module), its function, and what to put around that

_ATTRIBUTE = "__pitstop_original__"


def replace(owner: Any, name: str, wrap: Wrap) -> bool:
    """Put ``wrap(original)`` in the place of `owner.name`; False when that is done already."""
    original = getattr(owner, name)
    if hasattr(original, _ATTRIBUTE):
        return False
    wrapped = functools.wraps(original)(wrap(original))
    own = vars(owner).get(name, _ATTRIBUTE)
    setattr(wrapped, _ATTRIBUTE, own)
    setattr(owner, name, wrapped)
    return True


def undo(owner: Any, name: str) -> None:
    """Put back what `replace` replaced."""
    own = getattr(vars(owner).get(name), _ATTRIBUTE, None)
    if own is None:
        return
    if own == _ATTRIBUTE:  # it was inherited
        delattr(owner, name)
    else:
        setattr(owner, name, own)


def attach(module: Any, points: Iterable[Point]) -> None:
    """Put every one of `points` into `module`. Raises AttributeError when this version of it has none of them.

    Single ones may be missing: versions differ in what they have, and record what is there.
    """
    found = 0
    for owner, name, wrap in points:
        kind = getattr(module, owner, None) if owner else module
        if kind is not None and name in vars(kind):
            replace(kind, name, wrap)
            found += 1
    if not found:
        raise AttributeError(f"{module.__name__} has nothing that is known; which version is it?")


def detach(module: Any, points: Iterable[Point]) -> None:
    """Put back what `attach` replaced in `module`."""
    for owner, name, _ in points:
        kind = getattr(module, owner, None) if owner else module
        if kind is not None:
            undo(kind, name)
