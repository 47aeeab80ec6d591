"""Rules and objectives as alert rules for Prometheus, over what ``/metrics`` tells.

What Prometheus can compute by itself (thresholds of requests, disk, log, series, components) is written in its own
language, for classic buckets and for native histograms. The rest (anomalies, changes, leaks, silences that are usual,
burn rates with a least number of events) is what Pitstop finds: a rule over its gauges, so that no alert differs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.watching import TICKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pitstop.watch.objectives import Objective
    from pitstop.watch.rules import Rule

_DURATION = "http_server_request_duration_seconds"
_LABELS = {
    "route": "http_request_method, http_route",
    "tenant": "tenant",
    "outcome": "http_response_status_code",
}
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_FAILED = 'http_response_status_code=~"5.."'
_SPECIAL = frozenset("\\.+^$(){}|")
_GONE_FOR_S = 300


class Alert(NamedTuple):
    """One alert rule. `for_s` and `keep_s` as in a rule of ours; `every_s` is how often it is looked at."""

    name: str
    expression: str
    severity: str
    summary: str
    for_s: int = 0
    keep_s: int = 0
    every_s: int = 30


def prometheus_rules(rules: Iterable[Rule], objectives: Iterable[Objective]) -> str:
    """The YAML of a rules file. `keep_firing_for` needs Prometheus 2.42."""
    groups: dict[tuple[str, int], list[Alert]] = {}
    for alert in map(alert_of, rules):
        groups.setdefault(("pitstop rules", alert.every_s), []).append(alert)
    budgets = [_budget(one) for one in objectives if one.alert]
    if budgets:
        groups["pitstop objectives", 60] = list({alert.name: alert for alert in budgets}.values())
    groups["pitstop itself", 30] = [
        Alert("Pitstop is gone", "absent(pitstop_build_info)", TICKET, "Nothing is told by Pitstop.", for_s=_GONE_FOR_S)
    ]
    return "\n".join(_yaml(groups)) + "\n"


def alert_of(rule: Rule) -> Alert:
    """What tells the same as `rule`."""
    own = _EXPRESSIONS.get(rule.kind)
    expression = own(rule) if own else None
    waits = expression is not None and rule.kind != "burn_rate"
    if expression is None:
        firing = _selector([_is("rule", rule.name), _is("quiet", "")])
        expression = f"max by (rule, service_name, route, tenant) (pitstop_alert_firing{firing}) > 0"
    return Alert(
        rule.name,
        expression,
        rule.severity,
        rule.summary or rule.name,
        rule.for_s if waits else 0,  # Pitstop has waited already
        rule.keep_s if waits else 0,
        rule.every_s,
    )


def _budget(objective: Objective) -> Alert:
    chosen = _selector([_is("slo", objective.name), _like("service_name", [objective.service])])
    left = f"min by (slo, service_name, route, tenant, probe) (pitstop_slo_budget_left_ratio{chosen})"
    text = f"The error budget of '{objective.name}' is spent."
    return Alert(f"budget spent: {objective.name}", f"{left} <= 0", TICKET, text, for_s=300, every_s=60)


def _threshold(rule: Rule) -> str | None:
    """A figure of requests beyond a limit; None for what is exported under other names."""
    routes = _routes(rule.routes)
    if rule.series != "http" or rule.metric.startswith("sample:") or routes is None or set(rule.by) - set(_LABELS):
        return None
    filters = [_like("service_name", rule.service), _like("tenant", rule.tenant)]
    filters.append(_like("http_response_status_code", rule.outcome))
    selectors = [[*filters, *route] for route in routes]
    by = ", ".join(("service_name", *(_LABELS[name] for name in rule.by)))
    figure = _figure(rule, selectors, by)
    compared = f"({figure}) {_beyond(rule)}"
    if rule.least_events:
        events = _either("increase", "count", selectors, rule.over_s, by)
        return f"{compared} and ({events}) >= {rule.least_events}"
    return compared


def _figure(rule: Rule, selectors: Sequence[Sequence[str]], by: str) -> str:
    over_s = rule.over_s
    if rule.metric in _QUANTILES:
        q = _QUANTILES[rule.metric]
        classic = f"sum by (le, {by}) ({_union('rate', '_bucket', selectors, over_s)})"
        native = f"sum by ({by}) ({_union('rate', '', selectors, over_s)})"
        return f"histogram_quantile({q}, {classic}) or histogram_quantile({q}, {native})"
    whole = _either("rate", "count", selectors, over_s, by)
    if rule.metric == "rate":
        return whole
    if rule.metric == "count":
        return _either("increase", "count", selectors, over_s, by)
    if rule.metric == "mean":
        return f"({_either('rate', 'sum', selectors, over_s, by)}) / ({whole})"
    failed = _either("rate", "count", [[*one, _FAILED] for one in selectors], over_s, by)
    return f"(({failed}) or ({whole}) * 0) / ({whole})"


def _either(function: str, part: str, selectors: Sequence[Sequence[str]], over_s: int, by: str) -> str:
    """The count or sum of a histogram, of its own series or within a native one."""
    classic = f"sum by ({by}) ({_union(function, f'_{part}', selectors, over_s)})"
    return f"{classic} or sum by ({by}) (histogram_{part}({_union(function, '', selectors, over_s)}))"


def _union(function: str, suffix: str, selectors: Sequence[Sequence[str]], over_s: int) -> str:
    return " or ".join(f"{function}({_DURATION}{suffix}{_selector(one)}[{over_s}s])" for one in selectors)


def _routes(patterns: Sequence[str]) -> list[list[str]] | None:
    """Conditions for each pattern; None for one whose method and template cannot be told apart."""
    out = []
    for pattern in patterns:
        method, space, template = pattern.partition(" ")
        if not space or set("*[") & set(method.removesuffix("*")):
            return None
        out.append([_like("http_request_method", [method]), _like("http_route", [template])])
    return out or [[]]


def _disk(rule: Rule) -> str:
    return f"pitstop_store_disk_{rule.metric} {_beyond(rule)}"


def _log(rule: Rule) -> str:
    return f"pitstop_store_log_bytes {_beyond(rule)}"


def _cardinality(rule: Rule) -> str | None:
    if rule.above is None:
        return None
    chosen = _selector([_like("service_name", rule.service)])
    return f"pitstop_cardinality_{rule.metric}{chosen} {_beyond(rule)}"


def _component(rule: Rule) -> str:
    conditions = [_like("component", [str(rule.wanted.get("component", "*"))]), 'state=~"degraded|down"']
    return f"max by (component) (pitstop_component_state{_selector(conditions)}) > 0"


def _burn_rate(rule: Rule) -> str:
    conditions = [
        _is("severity", rule.severity),
        _like("slo", [str(rule.wanted.get("slo", "*"))]),
        _like("service_name", rule.service),
    ]
    return f"max by (slo, service_name, route, tenant, probe) (pitstop_slo_burn_alert{_selector(conditions)}) > 0"


_EXPRESSIONS = {
    "threshold": _threshold,
    "burn_rate": _burn_rate,
    "disk": _disk,
    "log": _log,
    "cardinality": _cardinality,
    "component": _component,
}


def _beyond(rule: Rule) -> str:
    return f"> {rule.above!r}" if rule.above is not None else f"< {rule.below!r}"


def _selector(conditions: Iterable[str]) -> str:
    chosen = ",".join(filter(None, conditions))
    return f"{{{chosen}}}" if chosen else ""


def _is(label: str, value: str) -> str:
    return f"{label}={_quoted(value)}"


def _like(label: str, patterns: Sequence[str]) -> str:
    """A condition for glob patterns; none for what lets everything through."""
    if not patterns or "*" in patterns:
        return ""
    return f"{label}=~{_quoted('|'.join(map(_regex, patterns)))}"


def _regex(pattern: str) -> str:
    """A glob pattern as Prometheus' regular expression (RE2), which always has to fit the whole."""
    out, at = "", 0
    while at < len(pattern):
        sign = pattern[at]
        end = pattern.find("]", at + 2) if sign == "[" else -1
        if end > 0:
            inner = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            out += f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
            at = end
        else:
            out += {"*": ".*", "?": "."}.get(sign) or (f"\\{sign}" if sign in _SPECIAL or sign == "[" else sign)
        at += 1
    return out


def _quoted(text: str) -> str:
    """As PromQL and YAML both read it."""
    return json.dumps(text, ensure_ascii=False)


def _yaml(groups: Mapping[tuple[str, int], Sequence[Alert]]) -> Iterator[str]:
    yield "# Made by 'pitstop export prometheus-rules'. Inhibition, silences and grouping are Alertmanager's."
    yield "groups:"
    for (name, every_s), alerts in groups.items():
        yield f"  - name: {_quoted(f'{name}, every {every_s} s')}"
        yield f"    interval: {every_s}s"
        yield "    rules:"
        for alert in alerts:
            yield f"      - alert: {_quoted(alert.name)}"
            yield f"        expr: {_quoted(alert.expression)}"
            if alert.for_s:
                yield f"        for: {alert.for_s}s"
            if alert.keep_s:
                yield f"        keep_firing_for: {alert.keep_s}s"
            yield f"        labels: {{severity: {_quoted(alert.severity)}}}"
            yield f"        annotations: {{summary: {_quoted(alert.summary.replace('{{', '{ {'))}}}"
