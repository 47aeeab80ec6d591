"""Every exporter there is: each module of `families` with a function ``families(facts)``. A new one is a new file."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from pitstop.dashboard.export import families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import Family

    Exporter = tuple[str, Callable[[Facts], Iterator[Family]]]


@cache
def exporters() -> Sequence[Exporter]:
    """Name and function of each, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(families.__path__))
    return tuple((name, import_module(f"{families.__name__}.{name}").families) for name in names)
