"""The shapes of objectives, alerts, rules and channels; the same names as the commands' ``--json`` (docs/json.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field

from pitstop.model import Window

if TYPE_CHECKING:
    from pitstop.model.watching import Incident, Moment, Replay, SloState

Severity = Literal["page", "ticket", "info"]
Points = list[tuple[int, float | None]]
LONGEST_TEXT = 2000
LONGEST_RULE = 20_000
MOST_MATCHES = 20
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Matches = Annotated[dict[str, Text], Field(max_length=MOST_MATCHES)]


class BurnOut(BaseModel):
    """One pair of windows: it fires when both burn faster than `factor`."""

    severity: str
    factor: float
    long_s: int
    short_s: int
    long_rate: float | None = Field(description="1 spends the budget exactly in the objective's window")
    short_rate: float | None
    firing: bool


class SloOut(BaseModel):
    """One objective now. `points` is the budget left over its window: Unix seconds, share."""

    name: str
    kind: str
    labels: dict[str, str]
    target: float
    threshold_s: float | None
    window: Window
    window_text: str
    good: int
    total: int
    ratio: float | None
    budget_left: float | None = Field(description="share of the error budget; negative when overspent")
    runs_out_s: float | None = Field(description="Unix seconds; null when it will not at the last hour's rate")
    burns: list[BurnOut]
    state: str
    summary: str
    points: Points

    @classmethod
    def of(cls, state: SloState) -> SloOut:
        """The objective as the API writes it."""
        return cls(**state._asdict() | {"burns": [BurnOut(**one._asdict()) for one in state.burns]})


class IncidentOut(BaseModel):
    """One rule that was true for one set of labels. `silenced` and `inhibited` say by what; null: by nothing."""

    id: int
    key: str
    rule: str
    severity: str
    state: str
    labels: dict[str, str]
    summary: str
    value: float | None
    limit: float | None
    unit: str
    began_s: float
    fired_s: float | None
    ended_s: float | None
    acked_by: str | None
    acked_s: float | None
    silenced: str | None
    inhibited: str | None

    @classmethod
    def of(cls, incident: Incident) -> IncidentOut:
        """The incident as the API writes it."""
        nothing = {name: getattr(incident, name) or None for name in ("acked_by", "silenced", "inhibited")}
        return cls(**incident._asdict() | nothing)


class MomentOut(BaseModel):
    """One line of an incident's timeline."""

    ts_s: float
    what: str
    who: str | None
    text: str

    @classmethod
    def of(cls, moment: Moment) -> MomentOut:
        """The line as the API writes it."""
        return cls(**moment._asdict() | {"who": moment.who or None})


class IncidentsOut(BaseModel):
    """Incidents that lasted into the window: open ones first, then the newest."""

    window: Window
    incidents: list[IncidentOut]


class IncidentDetailOut(BaseModel):
    """One incident with its timeline, oldest first."""

    incident: IncidentOut
    timeline: list[MomentOut]


class SilenceOut(BaseModel):
    """While it lasts, incidents with labels like `matches` (glob patterns) are told to nobody."""

    id: int
    matches: dict[str, str]
    author: str
    why: str
    start_s: float
    end_s: float


class RuleOut(BaseModel):
    """One rule and how it stands. `source`: the file's name, ``dashboard`` or ``default``."""

    name: str
    kind: str
    severity: str
    summary: str
    source: str
    text: str
    state: str
    firing: int
    pending: int
    value: float | None
    limit: float | None
    unit: str
    checked_s: float | None
    took_s: float | None
    problem: str


class CheckOut(BaseModel):
    """What a text would be as a rule; `problem` says why it cannot be one, and is empty when it can."""

    rule: RuleOut | None
    problem: str


class ReplayOut(BaseModel):
    """What a rule would have done; `values` is the series that came closest: Unix seconds, value."""

    rule: str
    window: Window
    step_s: int
    looks: int
    incidents: list[IncidentOut]
    values: Points
    limit: float | None
    unit: str

    @classmethod
    def of(cls, replay: Replay) -> ReplayOut:
        """The replay as the API writes it."""
        return cls(**replay._asdict() | {"incidents": [IncidentOut.of(one) for one in replay.incidents]})


class ChannelOut(BaseModel):
    """Somebody to tell. `address` has its secrets blotted out; they are never shown again."""

    name: str
    kind: str
    address: str
    severities: list[str]
    matches: dict[str, str]
    enabled: bool
    source: str
    state: str
    problem: str
    waiting: int
    dead: int
    sent: int
    last_sent_s: float | None


class DeliveryOut(BaseModel):
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


class TestedOut(BaseModel):
    """What a test message came to; `problem` is empty when it was taken."""

    channel: str
    ok: bool
    took_s: float
    problem: str


class ComponentOut(BaseModel):
    """One thing that the service or Pitstop depends on."""

    name: str
    state: str
    text: str
    checked_s: float


class DoneOut(BaseModel):
    """It was done."""

    done: bool = True


class AcknowledgeIn(BaseModel):
    """Say that you look after it."""

    note: Text = ""


class SilenceIn(BaseModel):
    """What to silence, why, and until when; from now on unless `start_s` says otherwise."""

    matches: Matches
    why: Text
    end_s: float
    start_s: float | None = None


class RuleIn(BaseModel):
    """One rule, objective or probe as TOML."""

    text: Annotated[str, Field(max_length=LONGEST_RULE)]


class ChannelIn(BaseModel):
    """A channel to add or to replace. An empty address or secret keeps the one that is known."""

    name: Name
    kind: Literal["apprise", "webhook", "alertmanager"]
    address: Text = ""
    secret: Text = ""
    severities: list[Severity] = Field(default=["page", "ticket"], max_length=3)
    matches: Matches = {}
    enabled: bool = True

    def options(self) -> dict[str, Any]:
        """What `Watch.save_channel` takes beside name, kind and address."""
        chosen = {"severities": list(self.severities), "matches": self.matches, "enabled": self.enabled}
        return chosen | ({"secret": self.secret} if self.secret else {})


class TestIn(BaseModel):
    """Which channel to test; all when left out."""

    name: Name | None = None
