"""The JSON of objectives, alerts, silences and channels: what `pitstop slo` and `pitstop alerts` print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pitstop.model.watching import Incident, Moment, Replay, Silence, SloState, Tested

Json = dict[str, Any]


def slo(state: SloState, *, points: bool = False) -> Json:
    """One objective now."""
    made: Json = {
        "name": state.name,
        "kind": state.kind,
        "labels": dict(state.labels),
        "target": state.target,
        "threshold_s": state.threshold_s,
        "window": {"start_s": state.window.start_s, "end_s": state.window.end_s},
        "window_text": state.window_text,
        "good": state.good,
        "total": state.total,
        "ratio": state.ratio,
        "budget_left": state.budget_left,
        "runs_out_s": state.runs_out_s,
        "burns": [burn._asdict() for burn in state.burns],
        "state": state.state,
        "summary": state.summary,
    }
    return made | ({"points": [list(point) for point in state.points]} if points else {})


def incident(one: Incident) -> Json:
    """One alert."""
    return {
        "id": one.id,
        "key": one.key,
        "rule": one.rule,
        "severity": one.severity,
        "state": one.state,
        "labels": dict(one.labels),
        "summary": one.summary,
        "value": one.value,
        "limit": one.limit,
        "unit": one.unit,
        "began_s": one.began_s,
        "fired_s": one.fired_s,
        "ended_s": one.ended_s,
        "acked_by": one.acked_by or None,
        "acked_s": one.acked_s,
        "silenced": one.silenced or None,
        "inhibited": one.inhibited or None,
    }


def moment(one: Moment) -> Json:
    """One line of an alert's timeline."""
    return {"ts_s": one.ts_s, "what": one.what, "who": one.who or None, "text": one.text}


def silence(one: Silence) -> Json:
    """One silence."""
    return {
        "id": one.id,
        "matches": dict(one.matches),
        "author": one.author,
        "why": one.why,
        "start_s": one.start_s,
        "end_s": one.end_s,
    }


def tested(one: Tested) -> Json:
    """What a test message came to."""
    return {"channel": one.channel, "ok": one.ok, "took_s": one.took_s, "problem": one.problem or None}


def replay(one: Replay) -> Json:
    """What a rule would have done in the document's window."""
    return {
        "rule": one.rule,
        "step_s": one.step_s,
        "looks": one.looks,
        "incidents": [incident(found) for found in one.incidents],
        "values": [list(point) for point in one.values],
        "limit": one.limit,
        "unit": one.unit,
    }
