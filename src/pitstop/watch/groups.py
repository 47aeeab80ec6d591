"""One message for many incidents: which are told together, when, and when again. Pure, as in Alertmanager.

A group's first message waits for `wait_s`, in case more follows; what changes later is told every `interval_s`, and
what does not change is told again every `repeat_s`. Source: Prometheus Alertmanager, "group_wait" and following, whose
defaults these are. What was told as firing is told once when it has ended, silenced by then or not, and what began and
ended unseen is not told at all. What somebody looks after (acknowledged) is not told again, but its end is.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.units import count_text
from pitstop.model.watching import FIRING, INFO, RESOLVED, SEVERITIES, Incident, Moment, Notification
from pitstop.watch.conditions.figures import figure_text
from pitstop.watch.incidents import US

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIRST, AGAIN, LAST = "notified", "notified again", "notified of its end"
TOLD = (FIRST, AGAIN, LAST)  # lines of timelines whose text is the message's key
MOST_DETAILS = 20  # lines of one message; how many more there are is said


class Grouping(NamedTuple):
    """What is told together, and how often. Lengths in seconds."""

    by: tuple[str, ...] = ("service", "rule")
    wait_s: int = 30
    interval_s: int = 300
    repeat_s: int = 4 * 3600


class Group(NamedTuple):
    """What is remembered of one group: `told` are the keys of the incidents that were told as firing."""

    key: str
    first_s: float
    told_s: float | None = None
    told: frozenset[str] = frozenset()


class Grouped(NamedTuple):
    """The groups there are now, messages to send, and lines for the timelines, by incident key."""

    groups: dict[str, Group]
    notifications: list[Notification]
    moments: list[tuple[str, Moment]]


def group(
    before: Mapping[str, Group],
    firing: Sequence[Incident],
    ended: Mapping[str, Incident],
    grouping: Grouping,
    now_s: float,
    public_url: str = "",
) -> Grouped:
    """What is to be told now of what is `firing`, and of what has `ended`, the last by key of each."""
    out = Grouped({}, [], [])
    members: dict[str, list[Incident]] = {key: [] for key in before}
    for incident in firing:
        members.setdefault(group_key(incident.labels, grouping), []).append(incident)
    for key, incidents in members.items():
        one = before.get(key) or Group(key, now_s)
        _one(out, one, incidents, ended, grouping, now_s, public_url)
    return out


def group_key(labels: Mapping[str, str], grouping: Grouping) -> str:
    """16 hex digits that name a group: the dedupe key of its messages."""
    told = json.dumps([[name, labels.get(name, "")] for name in grouping.by], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _one(
    out: Grouped,
    one: Group,
    incidents: Sequence[Incident],
    ended: Mapping[str, Incident],
    grouping: Grouping,
    now_s: float,
    public_url: str,
) -> None:
    firing_keys = {incident.key for incident in incidents}
    audible = [i for i in incidents if not i.silenced and not i.inhibited]
    fresh = [i for i in audible if i.key not in one.told and not i.acked_by]
    over = [ended[key] for key in sorted(one.told - firing_keys) if key in ended]
    told = one.told & (firing_keys | {incident.key for incident in over})
    if not (fresh or over or told):
        if audible or any(not i.acked_by for i in incidents):  # muted or acknowledged for now
            out.groups[one.key] = one._replace(told=told, first_s=now_s if one.told_s is None else one.first_s)
        return
    again = [i for i in audible if i.key in told and not i.acked_by]
    if not _due(one, bool(fresh or over), bool(again), grouping, now_s):
        out.groups[one.key] = one._replace(told=told)
        return
    current = [*fresh, *[i for i in audible if i.key in told]]
    out.notifications.append(message(one.key, current, over, grouping, public_url))
    out.moments.extend((i.key, Moment(now_s, FIRST if i in fresh else AGAIN, US, one.key)) for i in current)
    out.moments.extend((i.key, Moment(now_s, LAST, US, one.key)) for i in over)
    left = frozenset((told - {i.key for i in over}) | {i.key for i in current})
    if left or incidents:
        out.groups[one.key] = one._replace(told_s=now_s, told=left)


def _due(one: Group, changed: bool, unchanged: bool, grouping: Grouping, now_s: float) -> bool:
    if one.told_s is None:
        return now_s - one.first_s >= grouping.wait_s
    since_s = now_s - one.told_s
    return (changed and since_s >= grouping.interval_s) or (unchanged and since_s >= grouping.repeat_s)


def message(
    key: str, firing: Sequence[Incident], over: Sequence[Incident], grouping: Grouping, public_url: str = ""
) -> Notification:
    """The message about a group: what fires in it, the worst first, and what of it has ended."""
    ordered = sorted(firing, key=lambda i: (_rank(i.severity), i.fired_s or i.began_s, i.key))
    ended = sorted(over, key=lambda i: (_rank(i.severity), i.ended_s or 0, i.key))
    everything = [*ordered, *ended]
    worst = everything[0]
    state = FIRING if ordered else RESOLVED
    labels = dict(set.intersection(*(set(i.labels.items()) for i in everything)))
    severity = min((i.severity for i in everything), key=_rank)
    number = len(ordered) or len(ended)
    service = labels.get("service", "")
    what = worst.rule if "rule" in labels else f"{worst.rule} and others"
    title = f"{what}{f' ({service})' if service else ''}{f': {count_text(number)} incidents' if number > 1 else ''}"
    text = worst.summary if number == 1 else f"{worst.summary}, and {count_text(number - 1)} more"
    lines = [detail(i) for i in everything[:MOST_DETAILS]]
    if len(everything) > MOST_DETAILS:
        lines.append(f"… and {count_text(len(everything) - MOST_DETAILS)} more")
    return Notification(
        key=key,
        state=state,
        severity=severity,
        title=title,
        text=text,
        labels={name: worst.labels[name] for name in grouping.by if name in worst.labels}
        | labels
        | {"severity": severity},
        started_s=min(i.began_s for i in everything),
        ended_s=None if ordered else max(i.ended_s or 0.0 for i in ended),
        details=lines,
        value=worst.value,
        limit=worst.limit,
        unit=worst.unit,
        url=_address(public_url, worst.id),
    )


def _address(public_url: str, ident: int) -> str:
    """The page of the incident, or of all where it has no number yet."""
    if not public_url:
        return ""
    return f"{public_url.rstrip('/')}/{f'alert?id={ident}' if ident else 'alerts'}"


def detail(incident: Incident) -> str:
    """One incident in one line."""
    about = ", ".join(f"{n}={v}" for n, v in incident.labels.items() if n not in {"rule", "severity"})
    state = "ended" if incident.ended_s is not None else incident.severity
    value = figure_text(incident.value, incident.unit)
    shown = f" ({value})" if incident.value is not None and value not in incident.summary else ""
    return f"[{state}] {incident.summary}{shown}{f' — {about}' if about else ''}"


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else SEVERITIES.index(INFO)
