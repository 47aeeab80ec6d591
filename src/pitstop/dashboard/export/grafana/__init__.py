"""Dashboards for Grafana over Prometheus, as the JSON that Grafana imports; one a file here.

Every expression works for classic buckets and for native histograms: whichever Prometheus has.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

Json = dict[str, Any]
_NO_BOARDS = frozenset({"expressions", "panels"})


def dashboards() -> dict[str, Json]:
    """Every dashboard by the name of its file: ``pitstop-requests`` …."""
    found = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_BOARDS)
    return {f"pitstop-{name}": import_module(f"{__name__}.{name}").board() for name in found}
