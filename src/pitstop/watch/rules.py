"""Alert rules as they stand in the rules file or were saved in the dashboard, read and checked.

A rule is a table of docs/alerts.md. What it says is checked when it is read: a rule that stands can be evaluated.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model import SettingError, parse_duration_s
from pitstop.model.watching import SEVERITIES, TICKET
from pitstop.watch.conditions import KINDS
from pitstop.watch.toml import table_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pitstop.watch.conditions.reading import Kind

EVERY_S = 30
KEEP_S = 300  # an incident that comes back within five minutes is the same one
LEAST_STEP_S = 10  # looks are on a grid of ten seconds: sight.py
LONGEST_NAME = 120
_UNITS = {
    "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "%": 0.01,
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
}  # fmt: skip
_AMOUNT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([a-zA-Zµ%]*)\s*")
_LABELS = ("service", "route", "tenant", "outcome", "worker")


class Rule(NamedTuple):
    """One rule. `text` is its TOML, `source` where it stands. Lengths in seconds; filters are glob patterns.

    `above`, `below` and `clear` are in the base unit of the metric. `wanted` is what the keys of its kind alone say.
    """

    name: str
    kind: str
    severity: str = TICKET
    summary: str = ""
    source: str = ""
    text: str = ""
    enabled: bool = True
    metric: str = ""
    series: str = "http"
    service: tuple[str, ...] = ("*",)
    routes: tuple[str, ...] = ()
    tenant: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    over_s: int = 300
    every_s: int = EVERY_S
    for_s: int = 0
    keep_s: int = KEEP_S
    least_events: int = 0
    by: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    wanted: Mapping[str, str | float] = {}

    def watches(self, service: str) -> bool:
        """Whether it is about `service`, or a part of it."""
        return matches(self.service, service)

    def concerns(self, *, service: str = "", route: str = "", tenant: str = "", outcome: str = "") -> bool:
        """Whether the filters let it through; what a rule does not filter is let through."""
        return (
            matches(self.service, service)
            and matches(self.routes, route)
            and matches(self.tenant, tenant)
            and matches(self.outcome, outcome)
        )

    def verdict(self, value: float | None) -> tuple[bool, bool]:
        """Whether `value` is beyond the limit, and whether it is back behind the one that clears it."""
        if value is None:
            return False, True
        if self.above is not None:
            return value > self.above, value <= (self.above if self.clear is None else self.clear)
        assert self.below is not None
        return value < self.below, value >= (self.below if self.clear is None else self.clear)

    @property
    def limit(self) -> float | None:
        """The limit that it compares with."""
        return self.above if self.above is not None else self.below


def matches(patterns: Sequence[str], text: str) -> bool:
    """Whether one of the glob patterns fits; none at all fit anything."""
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def parse_rule(table: Mapping[str, object], source: str) -> Rule:
    """The rule that a table has. Raises SettingError that names rule, key, value and what would do."""
    name = checked_name(table, "rule")
    where = f"rule '{name}'"
    kind = KINDS.get(str(table.get("kind", "")))
    if kind is None:
        raise SettingError(f"{where}: kind '{table.get('kind', '')}' is none; there are {', '.join(KINDS)}")
    allowed = sorted(set(_EVERY_RULE) | kind.keys)
    for key in table:
        if key not in allowed:
            raise SettingError(f"{where}: kind {kind.name} has no '{key}'; it has {', '.join(allowed)}")
    given = {key: _PARSERS[key](f"{where}: {key}", value) for key, value in {**kind.defaults, **table}.items()}
    _check(where, kind, given)
    own = {key: value for key, value in given.items() if key in _OF_KINDS}
    rest = {_FIELDS.get(key, key): value for key, value in given.items() if key not in _OF_KINDS}
    return Rule(**{**rest, "wanted": own, "source": source, "text": table_text("rule", table)})  # type: ignore[arg-type]  # parsed field by field


def checked_name(table: Mapping[str, object], what: str) -> str:
    """The name of an entry. Raises SettingError when it has none that can be used."""
    name = table.get("name")
    if not isinstance(name, str) or not name.strip():
        raise SettingError(f'a {what} has no name; give it one, as in name = "checkout is slow"')
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingError(f"the name '{name[:LONGEST_NAME]}' is no line of at most {LONGEST_NAME} characters")
    return name.strip()


def _check(where: str, kind: Kind, given: Mapping[str, object]) -> None:
    for key in kind.needs:
        if key not in given:
            raise SettingError(f"{where}: kind {kind.name} needs '{key}'")
    both = [key for key in ("above", "below") if key in given]
    if len(both) > 1 and all(key in kind.either for key in both):
        raise SettingError(f"{where}: 'above' and 'below' exclude one another; write two rules")
    if kind.either and not any(key in given for key in kind.either):
        raise SettingError(f"{where}: kind {kind.name} needs one of {', '.join(kind.either)}")
    metric = given.get("metric")
    if metric is not None and not _is_metric(str(metric), kind.metrics):
        raise SettingError(f"{where}: metric '{metric}' is none of {', '.join(kind.metrics)}")
    above, below, clear = (given.get(key) for key in ("above", "below", "clear"))
    if isinstance(clear, float) and (
        (isinstance(above, float) and clear > above) or (isinstance(below, float) and clear < below)
    ):
        raise SettingError(f"{where}: clear = {clear:g} lies beyond the limit; it has to lie on the good side of it")
    if isinstance(clear, float) and above is None and below is None:
        raise SettingError(f"{where}: 'clear' says when a limit is clear again; give 'above' or 'below', too")


def _is_metric(metric: str, metrics: tuple[str, ...]) -> bool:
    names = tuple(known for known in metrics if known.endswith(":"))
    return metric not in names and (metric in metrics or metric.startswith(names))


def length_s(where: str, value: object, least_s: int = 0) -> int:
    """Seconds of ``5m`` or of a whole number. Raises SettingError."""
    if isinstance(value, str) and value.strip() in {"0", "0s"}:
        value = 0
    try:
        seconds = parse_duration_s(value) if isinstance(value, str) else value
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < least_s:
        raise SettingError(f'{where} = {value!r} is no length of at least {least_s} s; write it as "5m"')
    return seconds


def amount(where: str, value: object) -> float:
    """A figure in base units: a number, or text with a unit such as ``500ms``, ``100MB`` or ``5%``.

    Raises SettingError.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:  # noqa: PLR0124  NaN is not
        return float(value)
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found[2] and found[2] not in _UNITS):
        raise SettingError(f"{where} = {value!r} is no figure; write a number, or one with {', '.join(_UNITS)}")
    return float(found[1]) * _UNITS.get(found[2], 1.0)


def text(where: str, value: object) -> str:
    """A line of text. Raises SettingError."""
    if not isinstance(value, str) or not value.strip():
        raise SettingError(f"{where} = {value!r} is no text")
    return value.strip()


def texts(where: str, value: object) -> tuple[str, ...]:
    """One text or a list of them. Raises SettingError."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not items or not all(isinstance(item, str) and item for item in items):
        raise SettingError(f"{where} = {value!r} is no list of texts")
    return tuple(items)


def flag(where: str, value: object) -> bool:
    """Yes or no. Raises SettingError."""
    if not isinstance(value, bool):
        raise SettingError(f"{where} = {value!r} is neither true nor false")
    return value


def number(where: str, value: object) -> int:
    """A whole number, zero or more. Raises SettingError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SettingError(f"{where} = {value!r} is no whole number")
    return value


def one_of(*words: str) -> Callable[[str, object], str]:
    """A parser that takes one of `words`."""

    def parse(where: str, value: object) -> str:
        if value not in words:
            raise SettingError(f"{where} = {value!r} is none of {', '.join(words)}")
        return str(value)

    return parse


def _labels(where: str, value: object) -> tuple[str, ...]:
    names = texts(where, value) if value else ()
    for name in names:
        if name not in _LABELS:
            raise SettingError(f"{where}: '{name}' is none of {', '.join(_LABELS)}")
    return tuple(name for name in names if name != "service")


def _every(where: str, value: object) -> int:
    seconds = length_s(where, value, LEAST_STEP_S)
    if seconds % LEAST_STEP_S:
        raise SettingError(f"{where} = {value!r} has to be whole steps of {LEAST_STEP_S} s")
    return seconds


def _over(where: str, value: object) -> int:
    return _every(where, value)


_EVERY_RULE: Mapping[str, Callable[[str, object], object]] = {
    "name": text,
    "kind": text,
    "severity": one_of(*SEVERITIES),
    "summary": text,
    "enabled": flag,
    "every": _every,
    "for": length_s,
    "keep": length_s,
    "depends_on": texts,
}
_FILTERED: Mapping[str, Callable[[str, object], object]] = {
    "metric": text,
    "series": text,
    "service": texts,
    "routes": texts,
    "tenant": texts,
    "outcome": texts,
    "above": amount,
    "below": amount,
    "clear": amount,
    "over": _over,
    "least_events": number,
    "by": _labels,
}
_OF_KINDS: Mapping[str, Callable[[str, object], str | float]] = {
    "slo": text,
    "direction": one_of("up", "down", "both"),
    "least_change": amount,
    "baseline": _every,
    "finding": one_of("n_plus_one", "new_error", "health"),
    "heartbeat": text,
    "component": text,
}
_PARSERS: Mapping[str, Callable[[str, object], object]] = {**_EVERY_RULE, **_FILTERED, **_OF_KINDS}
_FIELDS = {"over": "over_s", "every": "every_s", "for": "for_s", "keep": "keep_s"}
