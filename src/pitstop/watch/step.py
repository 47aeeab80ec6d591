"""One step of watching: what rules saw becomes incidents, some are muted, and groups of the rest become messages.

Pure: state, readings and the moment go in; the next state and what is to be told come out. The evaluator writes that
down in one transaction; a replay only looks at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.watching import FIRING, Incident, Moment
from pitstop.watch.groups import Group, Grouping, group
from pitstop.watch.incidents import Looked, Open, follow
from pitstop.watch.mute import Muting, mute

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pitstop.model.watching import Notification


class State(NamedTuple):
    """What one step hands to the next. `ended` has, by key, the last end of what was told as firing."""

    open: Mapping[str, Open] = {}
    ended: Mapping[str, Incident] = {}
    groups: Mapping[str, Group] = {}


class Stepped(NamedTuple):
    """The next state; what ended in this step; what to tell; and lines for the timelines, by incident key."""

    state: State
    ended: list[Incident]
    notifications: list[Notification]
    moments: list[tuple[str, Moment]]


def step(
    before: State,
    looks: Sequence[Looked],
    now_s: float,
    *,
    known: Collection[str] | None = None,
    muting: Muting | None = None,
    grouping: Grouping | None = None,
    public_url: str = "",
) -> Stepped:
    """What follows from `looks`, and from the time that has passed: silences end, groups become due."""
    followed = follow(before.open, looks, known, now_s)
    opened, muted = mute(followed.open, muting or Muting(), now_s)
    ended = {**before.ended, **{incident.key: incident for incident in followed.ended}}
    firing = [one.incident for one in opened.values() if one.incident.state == FIRING]
    grouped = group(before.groups, firing, ended, grouping or Grouping(), now_s, public_url)
    told = {key for one in grouped.groups.values() for key in one.told}
    untold = told - {incident.key for incident in firing}  # what is pending again may yet be forgotten
    state = State(opened, {key: ended[key] for key in untold if key in ended}, grouped.groups)
    return Stepped(state, followed.ended, grouped.notifications, [*followed.moments, *muted, *grouped.moments])
