"""Who is not told of what is firing, and why: silences, maintenance windows, inhibition, dependencies.

What is muted is kept and shown; it is left out of messages. Pure: the moment is an argument.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.units import time_text
from pitstop.model.watching import FIRING, Incident, Moment
from pitstop.watch.incidents import US, Open

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.model.watching import Silence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60


class Maintenance(NamedTuple):
    """Times in which incidents that match are told to nobody.

    Minutes of the day, UTC; where `from_m` is above `to_m` it spans midnight. `days` are those on
    which it begins, 0 is Monday; none: every day.
    """

    name: str
    days: tuple[int, ...]
    from_m: int
    to_m: int
    matches: Mapping[str, str]
    source: str = ""
    text: str = ""

    def covers(self, now_s: float) -> bool:
        """Whether `now_s` lies in it."""
        moment = datetime.fromtimestamp(now_s, tz=UTC)
        minute, today = moment.hour * 60 + moment.minute, moment.weekday()
        if self.from_m < self.to_m:
            return self.from_m <= minute < self.to_m and self._on(today)
        return (minute >= self.from_m and self._on(today)) or (minute < self.to_m and self._on((today - 1) % 7))

    def _on(self, day: int) -> bool:
        return not self.days or day in self.days


class Inhibit(NamedTuple):
    """While something that matches `source` fires, what matches `target` is not told, where labels `equal` agree."""

    source: Mapping[str, str]
    target: Mapping[str, str]
    equal: tuple[str, ...]


class Muting(NamedTuple):
    """Everything that mutes. `depends_on` has for a rule the glob patterns of those it depends on."""

    silences: Sequence[Silence] = ()
    maintenances: Sequence[Maintenance] = ()
    inhibits: Sequence[Inhibit] = ()
    depends_on: Mapping[str, Sequence[str]] = {}


def fits(matches: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether `labels` match all glob patterns of `matches`; a label that is not there is ``""``."""
    return all(fnmatchcase(labels.get(name, ""), pattern) for name, pattern in matches.items())


def mute(before: Mapping[str, Open], muting: Muting, now_s: float) -> tuple[dict[str, Open], list[tuple[str, Moment]]]:
    """`before` with what mutes each incident now written into it, and what changed about that."""
    firing = [one.incident for one in before.values() if one.incident.state == FIRING]
    silences = [one for one in muting.silences if one.start_s <= now_s < one.end_s]
    windows = [one for one in muting.maintenances if one.covers(now_s)]
    sources = [[one for one in firing if fits(rule.source, one.labels)] for rule in muting.inhibits]
    by_rule = {fired.rule: fired for fired in firing}
    out, moments = dict(before), []
    for key, one in before.items():
        incident = one.incident
        silenced = inhibited = ""
        if incident.state == FIRING:
            silenced = _silenced(incident, silences, windows)
            inhibited = _inhibited(incident, muting, sources, by_rule)
        if silenced != incident.silenced or inhibited != incident.inhibited:
            out[key] = one._replace(incident=incident._replace(silenced=silenced, inhibited=inhibited))
            moments += [(key, moment) for moment in _changes(incident, silenced, inhibited, now_s)]
    return out, moments


def _changes(incident: Incident, silenced: str, inhibited: str, now_s: float) -> list[Moment]:
    found = []
    for was, now, begun, over in (
        (incident.silenced, silenced, "silenced", "no longer silenced"),
        (incident.inhibited, inhibited, "inhibited", "no longer inhibited"),
    ):
        if was != now:
            found.append(Moment(now_s, begun if now else over, US, now))
    return found


def _silenced(incident: Incident, silences: Sequence[Silence], windows: Sequence[Maintenance]) -> str:
    for silence in silences:
        if fits(silence.matches, incident.labels):
            return f"by {silence.author} until {time_text(silence.end_s)}: {silence.why}"
    for window in windows:
        if fits(window.matches, incident.labels):
            return f"maintenance: {window.name}"
    return ""


def _inhibited(
    incident: Incident, muting: Muting, sources: Sequence[Sequence[Incident]], by_rule: Mapping[str, Incident]
) -> str:
    for pattern in muting.depends_on.get(incident.rule, ()):
        for rule in by_rule:
            if rule != incident.rule and fnmatchcase(rule, pattern):
                return f"depends on '{rule}', which fires"
    for inhibit, found in zip(muting.inhibits, sources, strict=True):
        # as in Alertmanager: what is a source and a target of the same entry does not silence itself
        if not fits(inhibit.target, incident.labels) or fits(inhibit.source, incident.labels):
            continue
        for source in found:
            if all(source.labels.get(name, "") == incident.labels.get(name, "") for name in inhibit.equal):
                return f"'{source.rule}' fires"
    return ""
