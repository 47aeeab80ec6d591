"""What it is that grows: a container with its name, a type, exceptions that are kept, or nothing of Python's.

Several looks at a growing process are compared. What grows in each step counts, with the bytes its new entries hold:
among those that explain a good part of the growth the one that explains most is named. Where nothing does, memory
grows outside of Python's objects.
"""

from __future__ import annotations

import gc
from itertools import pairwise, takewhile
from types import MethodDescriptorType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from pitstop.tune.memory.census import Census, census, living, newest, type_name
from pitstop.tune.memory.holders import Holder, holders, recent_of
from pitstop.tune.memory.sizes import mean_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEAST_ENTRIES: Final = 20  # growth of less is not looked at
EXPLAINS: Final = 0.25  # of the bytes that grow: what is named has to hold at least that; sizes are lower bounds
STEADY: Final = 0.2  # of the mean step: each step grows at least by this, else it comes and goes
CANDIDATES: Final = 12
NAMED: Final = 2  # a container by its place in a module says more than the type of what is in it
RAISED: Final = 4  # the line that raised says most
OUTSIDE: Final = "memory outside of Python's objects"
_OURS: Final = __name__.rpartition(".")[0]  # looks keep something themselves
_GLUE: Final = frozenset(
    {
        "dict", "list", "tuple", "set", "frozenset", "cell", "function", "method", "builtin_function_or_method", "type",
        "weakref.ReferenceType", "method-wrapper", "getset_descriptor", "property", "staticmethod", "classmethod",
        "module", "frame", "traceback", "generator", "coroutine", "str", "bytes", "int", "float", "collections.deque",
        "collections.OrderedDict", "collections.defaultdict",
    }
)  # fmt: skip


class Growth(NamedTuple):
    """What grows, why we think so, and by how much a minute. `line` where code is to blame and known.

    `telling` is how much the name says: of two that explain as much the more telling is named. `filling`: it is a
    container that knows its bound and is below it. `found` is False where nothing of Python's explains it.
    """

    what: str
    why: str
    bytes_per_min: float
    count_per_min: float
    line: str = ""
    telling: int = 1
    filling: bool = False
    found: bool = True

    @property
    def weight(self) -> float:
        """Of several the one with the greatest is named."""
        return self.bytes_per_min * self.telling


class Look(NamedTuple):
    """What one look has seen; nothing in it keeps an object of the host's alive."""

    census: Census
    holders: dict[tuple[int, str], Holder]  # without samples
    cpu_s: float


def look(now_s: float) -> Look:
    """Count types and find large containers. Takes about 0.1 s of CPU for half a million objects."""
    held, cpu_s = holders()
    counted = census(now_s)
    return Look(counted, {key: holder._replace(sample=[]) for key, holder in held.items()}, counted.cpu_s + cpu_s)


def name_growth(looks: Sequence[Look], bytes_per_min: float) -> Growth:
    """What explains that `bytes_per_min` more are held, by at least two looks, the last of them just taken."""
    current, _ = holders()
    candidates = [*_containers(looks, current), *_types(looks)]
    del current
    good = [one for one in candidates if one.bytes_per_min >= EXPLAINS * bytes_per_min]
    if good:
        return max(good, key=lambda one: one.weight)
    opaque = [one for one in candidates if one.why.startswith(_OPAQUE)]
    if opaque:
        return max(opaque, key=lambda one: (one.telling, one.count_per_min))._replace(bytes_per_min=bytes_per_min)
    why = "no type and no container grows with it: buffers of a C library"
    return Growth(OUTSIDE, why, bytes_per_min, 0.0, found=False)


_OPAQUE = "holds memory that Python does not see"


def _per_min(looks: Sequence[Look], values: Sequence[int | None]) -> float:
    """Growth a minute since it was first seen (None before), where each step has its share; else 0."""
    known = [(look.census.at_s, value) for look, value in zip(looks, values, strict=True) if value is not None]
    steps = len(known) - 1
    if steps < 1 or None in values[-steps - 1 :]:  # seen, not seen, seen: it has shrunk in between
        return 0.0
    rise = known[-1][1] - known[0][1]
    if rise < LEAST_ENTRIES or any(b - a < STEADY * rise / steps for (_, a), (_, b) in pairwise(known)):
        return 0.0
    return rise * 60.0 / (known[-1][0] - known[0][0])


def _containers(looks: Sequence[Look], current: Mapping[tuple[int, str], Holder]) -> Iterable[Growth]:
    for key, holder in current.items():
        lengths = [look.holders[key].length if key in look.holders else look.census.lengths.get(key) for look in looks]
        per_min = _per_min(looks, lengths)
        if not per_min:
            continue
        if not holder.sample:
            what = f"{holder.path}: {holder.kind}"
            yield Growth(what, "a buffer that is only added to", per_min, 0.0, telling=NAMED)
            continue
        what = f"{holder.path}: {holder.kind} of {holder.entry}"
        growth = _of_entries(what, holder.sample, per_min)
        filling = holder.bound is not None and holder.length <= holder.bound
        yield growth._replace(telling=max(growth.telling, NAMED), filling=filling)
    named = {key for key in current if key in looks[-1].holders}
    others = {
        key: _per_min(looks, [look.census.lengths.get(key) for look in looks])
        for key in looks[-1].census.lengths
        if key not in named
    }
    wanted = sorted((key for key, per_min in others.items() if per_min), key=others.__getitem__)
    yield from _unnamed({key[0]: others[key] for key in wanted[-CANDIDATES:]})


def _unnamed(growing: Mapping[int, float]) -> Iterable[Growth]:
    """Containers that no module leads to: in a frame, a closure of a running task, an object of C's."""
    for ident, container in (living(set(growing)) if growing else {}).items():
        try:
            samples = recent_of(container)
        except RuntimeError:
            continue
        if samples:
            what = f"{type_name(type(container))} of {type_name(type(samples[0]))}"
            yield _of_entries(what, samples, growing[ident])


def _of_entries(what: str, samples: list[Any], per_min: float) -> Growth:
    errors = _usual_errors(part for each in samples for part in (each if type(each) is tuple else (each,)))
    if errors:
        return _kept_errors(errors, per_min, f"in {what}")._replace(telling=RAISED + NAMED)
    nbytes = mean_size(samples) * per_min
    entry = type_name(type(samples[0]))
    if _is_opaque(type(samples[0])):
        return Growth(what, f"{_OPAQUE}: {entry} is of a C library", nbytes, per_min)
    return Growth(what, f"{per_min:.0f} more entries a minute, none leave", nbytes, per_min)


def _types(all_looks: Sequence[Look]) -> Iterable[Growth]:
    frozen = all_looks[-1].census.frozen
    looks = list(takewhile(lambda look: look.census.frozen == frozen, reversed(all_looks)))[::-1]
    rises = {
        name: _per_min(looks, [look.census.counts.get(name, 0) for look in looks])
        for name in looks[-1].census.counts
        if (name not in _GLUE or name == "traceback") and not name.startswith(_OURS)
    }
    kept = rises.pop("traceback", 0.0)
    wanted = set(sorted((name for name, rise in rises.items() if rise), key=rises.__getitem__)[-CANDIDATES:])
    if not wanted:
        return
    for name, samples in newest(wanted).items():
        if not samples:
            continue
        per_min = rises[name]
        first = samples[0]
        errors = _usual_errors(samples) if kept else []
        if errors:
            yield _kept_errors(errors, per_min, "somewhere")
            continue
        nbytes = mean_size(samples) * per_min
        why = f"{per_min:.0f} more of them a minute"
        if not gc.isenabled():
            why += "; the garbage collector is off, so cycles stay"
        elif getattr(type(first), "__del__", None) is not None:
            why += "; they have a __del__, and are still there after collections"
        if _is_opaque(type(first)):
            why = f"{_OPAQUE}: {name} is of a C library"
        yield Growth(name, why, nbytes, per_min)


def _usual_errors(samples: Iterable[object]) -> list[BaseException]:
    """Exceptions that hold a traceback, raised where most of them were: an old one that stays may be among them."""
    by_line: dict[str, list[BaseException]] = {}
    for one in samples:
        if issubclass(type(one), BaseException):  # a proxy lies about its class
            error = cast("BaseException", one)
            if line := _raised_at(error.__traceback__):
                by_line.setdefault(line, []).append(error)
    return max(by_line.values(), key=len, default=[])


def _kept_errors(errors: list[BaseException], per_min: float, where: str) -> Growth:
    why = f"exceptions are kept {where} with their tracebacks, which keep every frame and its variables"
    line = _raised_at(errors[0].__traceback__)
    return Growth(type_name(type(errors[0])), why, mean_size(errors) * per_min, per_min, line, telling=RAISED)


def _raised_at(traceback: TracebackType | None) -> str:
    line = ""
    while traceback is not None:
        line = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return line


def _is_opaque(kind: type) -> bool:
    """Whether it is, or is made from, a type that a C library has made: its size says little."""
    return any(
        base.__module__ != "builtins" and any(type(value) is MethodDescriptorType for value in vars(base).values())
        for base in kind.__mro__
        if type_name(base) not in _GLUE
    )
