"""What rules can be about: one file a kind."""

from pitstop.watch.conditions import threshold
from pitstop.watch.conditions.reading import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (threshold.KIND,)}
"""Every kind of rule by its name."""
