"""What becomes of a reading: pending, firing, resolved. A pure function of what was open, what was seen, and when.

Live and replayed looks run through here alike; it asks no clock, no store and no chance.

    hot for less than `for`          pending; forgotten when it ceases to be hot
    hot for `for`                    firing
    calm for less than `keep`        firing still: what comes back within it is the same incident, so flapping is one
    calm for `keep`                  resolved, as of when it became calm
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.watching import FIRING, PENDING, RESOLVED, Incident, Moment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pitstop.watch.conditions.reading import Reading
    from pitstop.watch.rules import Rule

US = "pitstop"  # who did what nobody else did


class Open(NamedTuple):
    """An incident that has not ended. `clear_since_s`: when its condition ceased, None while it holds."""

    incident: Incident
    clear_since_s: float | None = None


class Looked(NamedTuple):
    """What one rule saw at one moment of its grid."""

    rule: Rule
    at_s: float
    readings: Sequence[Reading]


class Followed(NamedTuple):
    """What is open now, what has ended by this, and what there is to tell of each in its timeline, by key."""

    open: dict[str, Open]
    ended: list[Incident]
    moments: list[tuple[str, Moment]]


def key_of(labels: Mapping[str, str]) -> str:
    """16 hex digits that name rule and labels."""
    told = json.dumps(sorted(labels.items()), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def follow(
    before: Mapping[str, Open], looks: Sequence[Looked], known: Collection[str] | None = None, now_s: float = 0.0
) -> Followed:
    """The next state. `known` names every rule there is: incidents of others end, as of `now_s`; None: all are kept.

    The same look twice changes nothing the second time.
    """
    out = Followed(dict(before), [], [])
    for look in looks:
        _follow_rule(out, look)
    if known is not None:
        for key, one in list(out.open.items()):
            if one.incident.rule not in known:
                _end(out, key, one, now_s, "the rule is no more")
    return out


def _follow_rule(out: Followed, look: Looked) -> None:
    seen: dict[str, tuple[dict[str, str], Reading]] = {}
    for reading in look.readings:
        labels = {
            "rule": look.rule.name, "severity": reading.severity or look.rule.severity,
            **{name: value for name, value in reading.labels.items() if value},
        }  # fmt: skip
        seen[key_of(labels)] = (labels, reading)
    of_rule = {key for key, one in out.open.items() if one.incident.rule == look.rule.name}
    for key, (labels, reading) in seen.items():
        one = out.open.get(key)
        if reading.hot:
            _hot(out, look, key, labels, reading)
        elif one is not None and (reading.calm or one.incident.state == PENDING):
            _calm(out, look, key, one)
        elif one is not None:
            out.open[key] = Open(one.incident._replace(value=reading.value), None)
    for key in of_rule - set(seen):
        _calm(out, look, key, out.open[key])


def _hot(out: Followed, look: Looked, key: str, labels: dict[str, str], reading: Reading) -> None:
    rule, at_s = look.rule, look.at_s
    one = out.open.get(key)
    summary = rule.summary or reading.text
    if one is None:
        incident = Incident(
            0, key, rule.name, labels["severity"], PENDING, labels, summary,
            reading.value, reading.limit, reading.unit, began_s=at_s,
        )  # fmt: skip
    else:
        incident = one.incident._replace(summary=summary, value=reading.value, limit=reading.limit, unit=reading.unit)
        if one.clear_since_s is not None:
            out.moments.append((key, Moment(at_s, "returned", US, reading.text)))
    if incident.state == PENDING and at_s - incident.began_s >= rule.for_s:
        incident = incident._replace(state=FIRING, fired_s=at_s)
        out.moments.append((key, Moment(at_s, "fired", US, reading.text)))
    out.open[key] = Open(incident)


def _calm(out: Followed, look: Looked, key: str, one: Open) -> None:
    if one.incident.state == PENDING:
        del out.open[key]
        return
    since_s = look.at_s if one.clear_since_s is None else one.clear_since_s
    if look.at_s - since_s >= look.rule.keep_s:
        _end(out, key, one, look.at_s, "", since_s)
        return
    if one.clear_since_s is None:
        out.open[key] = Open(one.incident, since_s)


def _end(out: Followed, key: str, one: Open, at_s: float, why: str, since_s: float | None = None) -> None:
    del out.open[key]
    if one.incident.state == PENDING:
        return
    ended_s = at_s if since_s is None else since_s
    out.ended.append(one.incident._replace(state=RESOLVED, ended_s=ended_s))
    out.moments.append((key, Moment(at_s, "resolved", US, why)))
