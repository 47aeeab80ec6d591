"""What others tell of: objectives whose budget burns, and components that are not well."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pitstop.analyze.units import figures, length_text
from pitstop.model.watching import DEGRADED, DOWN, SEVERITIES
from pitstop.watch.conditions.reading import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.watching import Burn
    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight


def burn_rate(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading an objective: whether one of its pairs of windows burns that has the severity of the rule.

    Calm is what burns in the short window of none, as in the SRE workbook: the alert ends soon after the burning does.
    """
    out = []
    for slo in sight.burning():
        name, service = slo.objective.name, slo.labels.get("service", "")
        if not fnmatchcase(name, str(rule.wanted.get("slo", "*"))) or not rule.watches(service):
            continue
        pairs = [burn for burn in slo.burns if burn.severity == rule.severity]
        if not pairs:
            continue
        firing = [burn for burn in pairs if burn.firing]
        worst = max(firing or pairs, key=_closeness)
        labels = {**slo.labels, "slo": name}
        about = " ".join((name, *(value for label, value in slo.labels.items() if label != "slo")))
        text = f"{about} keeps its budget"
        if firing:
            text = (
                f"{about}: the error budget burns {figures(worst.long_rate or 0)} times as fast as it may over "
                f"{length_text(worst.long_s)}, limit {figures(worst.factor)}"
            )
        out.append(Reading(labels, bool(firing), not firing, worst.long_rate, worst.factor, "×", text))
    return out


def _closeness(burn: Burn) -> float:
    return min(burn.long_rate or 0.0, burn.short_rate or 0.0) / burn.factor


def component(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading a component; what has no data is neither well nor not."""
    out = []
    for one in sight.components():
        if fnmatchcase(one.name, str(rule.wanted.get("component", "*"))):
            hot = one.state in {DEGRADED, DOWN}
            out.append(Reading({"component": one.name}, hot, not hot, None, None, "", f"{one.name}: {one.text}"))
    return out


BURN_RATE = Kind(
    "burn_rate",
    burn_rate,
    "objectives whose error budget burns too fast",
    keys=frozenset({"slo", "service"}),
    defaults={"severity": SEVERITIES[0], "every": "1m"},
)
COMPONENT = Kind(
    "component",
    component,
    "something around the service, or of Pitstop itself, that is not well",
    keys=frozenset({"component"}),
    defaults={"for": "1m"},
)
