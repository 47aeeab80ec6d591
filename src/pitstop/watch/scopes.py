"""Which series count for which budget: an objective has one for each service, route and tenant that it tells apart."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.overview import is_route
from pitstop.model.series import PROBE
from pitstop.watch.objectives import ANY, PROBED, ROUTE, TENANT, Objective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.model import Series

MOST_SCOPES = 1000  # of one objective; as many names a kind of series may have
GLOB = frozenset("*?[")


class Scope(NamedTuple):
    """One budget of `objective`; `labels`: ``slo``, and which ``service``, ``route``, ``tenant`` or ``probe`` it is."""

    objective: Objective
    labels: Mapping[str, str]


class Scopes:
    """Every scope that the series seen so far belong to, in order of appearance."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.found: list[Scope] = []
        self._objectives = objectives
        self._numbers: dict[tuple[int, tuple[tuple[str, str], ...]], int] = {}
        self._sizes = [0] * len(objectives)
        self._of: dict[Series, tuple[int, ...]] = {}
        self._of_service: dict[str, list[int]] = {}  # objectives of exactly one, by its name; the others under ANY
        for place, objective in enumerate(objectives):
            name = ANY if GLOB & set(objective.service) else objective.service
            self._of_service.setdefault(name, []).append(place)
            if is_literal(objective):
                self._number(place, _literal_labels(objective))

    def copy(self) -> Scopes:
        """One that knows the same and learns apart."""
        other = Scopes(())
        other.found, other._objectives = list(self.found), self._objectives
        other._numbers, other._sizes, other._of = dict(self._numbers), list(self._sizes), dict(self._of)
        other._of_service = self._of_service
        return other

    def of(self, series: Series) -> tuple[int, ...]:
        """Numbers, in `found`, of the scopes that `series` counts for."""
        known = self._of.get(series)
        if known is None:
            places = (*self._of_service.get(series.service, ()), *self._of_service.get(ANY, ()))
            fitting = [
                self._number(place, _labels(self._objectives[place], series))
                for place in places
                if fits(self._objectives[place], series)
            ]
            known = self._of[series] = tuple(number for number in fitting if number is not None)
        return known

    def complete(self) -> list[Scope]:
        """All of them, with one that has no data for each objective that nothing fits."""
        for place, objective in enumerate(self._objectives):
            if not self._sizes[place]:
                self._number(place, {"slo": objective.name})
        return self.found

    def _number(self, place: int, labels: dict[str, str]) -> int | None:
        key = (place, tuple(labels.items()))
        number = self._numbers.get(key)
        if number is None and self._sizes[place] < MOST_SCOPES:
            number = self._numbers[key] = len(self.found)
            self._sizes[place] += 1
            self.found.append(Scope(self._objectives[place], labels))
        return number


def kind_of(objective: Objective) -> str:
    """The kind of series that an objective is about."""
    return PROBE if objective.kind == PROBED else objective.series


def is_literal(objective: Objective) -> bool:
    """Whether it has exactly one scope, known before anything is seen."""
    name = objective.probe if objective.kind == PROBED else objective.service
    return not objective.by and not GLOB & set(name)


def fits(objective: Objective, series: Series) -> bool:
    """Whether what happened to `series` counts for `objective`."""
    if series.kind != kind_of(objective) or not _like(series.service, objective.service):
        return False
    if objective.kind == PROBED:
        return _like(series.name, objective.probe)
    if objective.tenant and not _like(series.tenant, objective.tenant):
        return False
    if ROUTE in objective.by and not is_route(series.name):
        return False
    if TENANT in objective.by and not series.tenant:
        return False
    return not objective.routes or any(_like(series.name, route) for route in objective.routes)


def _like(name: str, pattern: str) -> bool:
    """Whether they fit; a name with the signs of patterns in it fits itself, too."""
    return name == pattern or fnmatchcase(name, pattern)


def _literal_labels(objective: Objective) -> dict[str, str]:
    if objective.kind == PROBED:
        return {"slo": objective.name, "probe": objective.probe}
    labels = {"slo": objective.name, "service": objective.service}
    return _with_tenant(objective, labels)


def _labels(objective: Objective, series: Series) -> dict[str, str]:
    if objective.kind == PROBED:
        return {"slo": objective.name, "probe": series.name}
    labels = {"slo": objective.name, "service": series.service}
    if ROUTE in objective.by:
        labels["route"] = series.name
    if TENANT in objective.by:
        labels["tenant"] = series.tenant
    return _with_tenant(objective, labels)


def _with_tenant(objective: Objective, labels: dict[str, str]) -> dict[str, str]:
    if objective.tenant and TENANT not in objective.by:
        labels["tenant"] = objective.tenant
    return labels
