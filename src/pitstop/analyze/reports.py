"""What parts of processes say of themselves, read again: another process has made it, perhaps of another version.

What is missing gets its empty value and what has another type than it should is left out, so that whoever shows a
report never stumbles over one.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args, get_origin, get_type_hints, is_typeddict

from pitstop.rollup.flusher import REPORT_EVERY_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pitstop.model import Store, Window

FRESH_S = int(4 * REPORT_EVERY_S)  # without a word for so long, a worker is gone; a busy flusher may be late by two
DEEPEST = 48  # steps of a plan below one another; PostgreSQL's own limit for joins is far below


class Said(NamedTuple):
    """One report: `body` is shaped as the kind's in `pitstop.model.tuned`."""

    ts: int
    service: str
    worker: str
    name: str
    body: dict[str, Any]


def reports(
    store: Store, window: Window, kind: str, service: str | None = None, *, like: Mapping[str, Any]
) -> list[Said]:
    """The newest report of `kind` of each worker and name, by name; bodies have exactly the fields of `like`."""
    found = store.reports(window, service=service, kind=kind)
    out = []
    for ts, whose, worker, name, text in zip(
        found.ts, found.service, found.worker, found.name, found.body, strict=True
    ):
        body = _object(text)
        if body is not None:
            out.append(Said(ts, whose, worker, name, shaped(body, like)))
    return sorted(out, key=lambda one: (one.name, -one.ts))


def current(said: Iterable[Said], end_s: int) -> list[Said]:
    """Those of workers that still reported when the window ended: what they hold is held now."""
    return [one for one in said if one.ts >= end_s - FRESH_S]


def by_name(said: Iterable[Said]) -> dict[str, list[Said]]:
    """Reports of one name, of all workers, the newest first."""
    out: dict[str, list[Said]] = {}
    for one in said:
        out.setdefault(one.name, []).append(one)
    return out


def by_service(said: Iterable[Said]) -> list[list[Said]]:
    """Reports of one name and service together, by name, the newest first."""
    out: dict[tuple[str, str], list[Said]] = {}
    for one in said:
        out.setdefault((one.name, one.service), []).append(one)
    return list(out.values())


@cache
def like_of(body: type, *without: str) -> Mapping[str, Any]:
    """What `shaped` wants to know of a body of `pitstop.model.tuned`: its fields, each as it is without anything.

    A body within a body is left to whoever asks, except in lists. `without` names fields to leave out.
    """
    return {name: _empty(hint) for name, hint in get_type_hints(body).items() if name not in without}


def _empty(hint: Any) -> Any:
    """0, 0.0, "", False; in a list or dict once, for what it holds; None for a number that may be missing."""
    inner = get_args(hint)
    if get_origin(hint) is list:
        return [like_of(inner[0]) if is_typeddict(inner[0]) else _empty(inner[0])]
    if get_origin(hint) is dict:
        return {"": _empty(inner[1])}
    if is_typeddict(hint) or any(map(is_typeddict, inner)):
        return {}
    return None if inner else hint()


def shaped(body: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with the fields of `like`, whose values say what each is without: 0, None, "", [], {}."""
    return {name: _fitting(body.get(name), empty) for name, empty in like.items()}


def _fitting(value: Any, empty: Any) -> Any:
    """`value`, or `empty` where that is of another type. None in `like` stands for a number that may be missing."""
    if isinstance(empty, list):
        return _items(value if isinstance(value, list) else [], empty[0])
    if isinstance(empty, dict):
        return _entries(value if isinstance(value, dict) else {}, empty)
    if isinstance(empty, bool | str):
        return value if type(value) is type(empty) else empty
    return value if _is_number(value) else empty


def _entries(values: dict[str, Any], empty: dict[str, Any]) -> dict[str, Any]:
    if not empty:  # whoever asks looks into it himself
        return values
    inner = next(iter(empty.values()))
    return {key: one for key, given in values.items() if type(one := _fitting(given, inner)) is type(given)}


def _items(values: list[Any], inner: Any) -> list[Any]:
    if isinstance(inner, dict):
        return [shaped(one, inner) for one in values if isinstance(one, dict)]
    if isinstance(inner, str):
        return [one for one in values if isinstance(one, str)]
    return [one for one in values if _is_number(one)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0  # neither inf nor NaN


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
