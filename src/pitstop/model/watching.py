"""What is watched, what was found and who is told: the words that `watch`, `dashboard` and `cli` share.

Times are Unix seconds, durations seconds, ratios between 0 and 1. None means "no data", never zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.model.window import Window

PAGE = "page"  # wakes somebody
TICKET = "ticket"  # is looked at in the morning
INFO = "info"  # is told, and asks for nothing
SEVERITIES = (PAGE, TICKET, INFO)

OK = "ok"
PENDING = "pending"  # true, but not yet for as long as the rule asks
FIRING = "firing"
RESOLVED = "resolved"
NO_DATA = "no data"
DEGRADED = "degraded"
DOWN = "down"
TEST = "test"

WAITING = "waiting"  # deliveries: to be sent, for the first time or again
SENT = "sent"
DEAD = "dead"  # given up; kept to be seen, sent again or discarded by hand


class Incident(NamedTuple):
    """One rule that was true for one set of labels, from when it became so until it no longer was.

    `key` names rule and labels, 16 hex digits; an incident that comes again has the same key and another `id`.
    `labels` has at least ``rule`` and ``severity``, and of ``service``, ``route``, ``tenant``, ``slo`` … what the rule
    is about. `began_s` is when the condition became true, `fired_s` when it had been for long enough, `ended_s` when
    it ceased. `silenced` and `inhibited` say by what, as text for a person; empty: by nothing.
    """

    id: int
    key: str
    rule: str
    severity: str
    state: str
    labels: Mapping[str, str]
    summary: str
    value: float | None
    limit: float | None
    unit: str
    began_s: float
    fired_s: float | None = None
    ended_s: float | None = None
    acked_by: str = ""
    acked_s: float | None = None
    silenced: str = ""
    inhibited: str = ""


class Moment(NamedTuple):
    """One line of an incident's timeline: what happened (``fired``, ``notified``, ``acknowledged`` …), and by whom."""

    ts_s: float
    what: str
    who: str
    text: str


class Silence(NamedTuple):
    """While it lasts, incidents whose labels match all of `matches` (glob patterns) are kept but told to nobody."""

    id: int
    matches: Mapping[str, str]
    author: str
    why: str
    start_s: float
    end_s: float


class Burn(NamedTuple):
    """One pair of windows of a burn-rate alert: true when both burn faster than `factor` (SRE workbook, chapter 5)."""

    severity: str
    factor: float
    long_s: int
    short_s: int
    long_rate: float | None
    short_rate: float | None
    firing: bool


class SloState(NamedTuple):
    """One objective, now. `window` is the span it is measured over, which ends now (or with the calendar's).

    `good` of `total` events met it. `budget_left` is the share of the error budget that is left, negative when it is
    overspent; `runs_out_s` is when it will be spent at the rate of the last hour, None when it will not be.
    `points` is the budget left over the window, (Unix seconds, share), for the burn-down.
    """

    name: str
    kind: str
    labels: Mapping[str, str]
    target: float
    threshold_s: float | None
    window: Window
    window_text: str
    good: int
    total: int
    ratio: float | None
    budget_left: float | None
    runs_out_s: float | None
    burns: Sequence[Burn]
    state: str
    summary: str
    points: Sequence[tuple[int, float | None]] = ()


class RuleState(NamedTuple):
    """One rule and how it stands. `source` is the file's name, ``dashboard`` or ``default``; `text` is its TOML."""

    name: str
    kind: str
    severity: str
    summary: str
    source: str
    text: str
    state: str
    firing: int
    pending: int
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    checked_s: float | None = None
    took_s: float | None = None
    problem: str = ""


class Replay(NamedTuple):
    """What a rule would have done in `window`, looked at every `step_s`, oldest incident first.

    `values` is the value of the series that came closest, (Unix seconds, value), for a chart.
    """

    rule: str
    window: Window
    step_s: int
    looks: int
    incidents: Sequence[Incident]
    values: Sequence[tuple[int, float | None]]
    limit: float | None
    unit: str


class Notification(NamedTuple):
    """One message about one or more incidents. Text only: a channel escapes what its medium would take for markup.

    `key` is the dedupe key: the same for each message about one group. `state` is firing, resolved or test.
    `details` has a line an incident. `points` is what the chart shows, with `limit` as a line in it.
    """

    key: str
    state: str
    severity: str
    title: str
    text: str
    labels: Mapping[str, str]
    started_s: float
    ended_s: float | None = None
    details: Sequence[str] = ()
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    url: str = ""
    points: Sequence[tuple[int, float | None]] = ()


class Channel(NamedTuple):
    """Somebody to tell: `kind` is apprise, webhook or alertmanager; `address` has its secrets blotted out.

    It gets what has one of `severities` and labels that match all of `matches` (glob patterns).
    `source` is the file's name or ``dashboard``. `state` is ok, degraded (the last delivery failed) or down (none
    succeeded for a while), with `problem` in words.
    """

    name: str
    kind: str
    address: str
    severities: Sequence[str]
    matches: Mapping[str, str]
    enabled: bool
    source: str
    state: str
    problem: str
    waiting: int
    dead: int
    sent: int
    last_sent_s: float | None


class Delivery(NamedTuple):
    """One notification on its way to one channel."""

    id: int
    channel: str
    key: str
    title: str
    state: str
    tries: int
    created_s: float
    next_s: float | None
    done_s: float | None
    problem: str


class Tested(NamedTuple):
    """What a test message came to: `problem` empty when it was taken."""

    channel: str
    ok: bool
    took_s: float
    problem: str


class Component(NamedTuple):
    """One thing the service or Pitstop itself depends on, and its state: ok, degraded, down or no data."""

    name: str
    state: str
    text: str
    checked_s: float


class Watch(Protocol):
    """What the dashboard asks of whoever watches. Safe from any thread. Raises PitstopError kinds only.

    Whoever changes something is named by `who`. SettingError for what cannot be used, NotFoundError for what is not
    there.
    """

    def slos(self, *, service: str | None = None, points: bool = False) -> Sequence[SloState]:
        """Every objective now, the least budget left first."""
        ...

    def incidents(self, window: Window, *, service: str | None = None, state: str | None = None) -> Sequence[Incident]:
        """Those that lasted into `window`, open ones first, then the newest."""
        ...

    def incident(self, ident: int) -> tuple[Incident, Sequence[Moment]]:
        """One with its timeline, oldest first."""
        ...

    def acknowledge(self, ident: int, who: str, note: str = "") -> Incident:
        """Say that somebody looks after it: it is not told again until it ends."""
        ...

    def silences(self, *, ended: bool = False) -> Sequence[Silence]:
        """Those in force or to come; with `ended`, the past ones too."""
        ...

    def silence(self, matches: Mapping[str, str], who: str, why: str, start_s: float, end_s: float) -> Silence:
        """Begin one."""
        ...

    def unsilence(self, ident: int, who: str) -> None:
        """End one now."""
        ...

    def rules(self) -> Sequence[RuleState]:
        """Every rule, firing ones first."""
        ...

    def check_rule(self, text: str) -> RuleState:
        """What `save_rule` would make of `text`, without saving it; quick, for an editor that checks as one types."""
        ...

    def save_rule(self, text: str, who: str) -> RuleState:
        """Add or replace the one rule (or objective, or probe) that `text` has as TOML."""
        ...

    def delete_rule(self, name: str, who: str) -> None:
        """Remove a rule that was made in the dashboard; those of the file are the file's."""
        ...

    def test_rule(self, text: str, window: Window) -> Replay:
        """What `text`, a rule as TOML or the name of one, would have done on recorded history."""
        ...

    def beat(self, name: str) -> None:
        """Note that `name` has reported: what rules of kind heartbeat wait for."""
        ...

    def channels(self) -> Sequence[Channel]:
        """Everybody who can be told."""
        ...

    def save_channel(self, name: str, kind: str, address: str, options: Mapping[str, object], who: str) -> Channel:
        """Add or replace one. `options`: severities, matches, enabled, secret. An empty address or secret keeps it."""
        ...

    def delete_channel(self, name: str, who: str) -> None:
        """Remove one that was made in the dashboard."""
        ...

    def send_test(self, name: str | None = None) -> Sequence[Tested]:
        """Send a test message to one channel or to all, wait, and tell what came of each."""
        ...

    def deliveries(self, *, state: str | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Newest first."""
        ...

    def redeliver(self, ident: int, who: str) -> Delivery:
        """Send a dead one again."""
        ...

    def discard(self, ident: int, who: str) -> None:
        """Forget a dead one."""
        ...

    def components(self) -> Sequence[Component]:
        """The state of everything: store, disk, cache, database, pools, memory, probes, channels, ourselves."""
        ...
