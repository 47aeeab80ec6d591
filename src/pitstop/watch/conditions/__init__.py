"""What rules can be about."""

from pitstop.watch.conditions import (
    anomaly,
    around,
    cardinality,
    change_point,
    finding,
    leak,
    machine,
    no_data,
    threshold,
)
from pitstop.watch.conditions.reading import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        threshold.KIND,
        around.BURN_RATE,
        anomaly.KIND,
        change_point.KIND,
        finding.KIND,
        leak.KIND,
        cardinality.KIND,
        machine.DISK,
        machine.LOG,
        no_data.KIND,
        machine.HEARTBEAT,
        around.COMPONENT,
    )
}
"""Every kind of rule by its name."""
