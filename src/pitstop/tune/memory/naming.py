"""What it is that grows: a container with its name, a type, exceptions that are kept, or nothing of Python's.

Several looks at a growing process are compared. What grows in each step counts, with the bytes its new entries hold:
among those that explain a good part of the growth the one that explains most is named. Where nothing does, memory
grows outside of Python's objects.
"""

from __future__ import annotations

import gc
from types import MethodDescriptorType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pitstop.tune.memory.census import Census, census, living, newest, type_name
from pitstop.tune.memory.holders import Holder, holders, recent_of
from pitstop.tune.memory.sizes import mean_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEAST_ENTRIES: Final = 50  # growth of less is not looked at
EXPLAINS: Final = 0.25  # of the bytes that grow: what is named has to hold at least that; sizes are lower bounds
STEADY: Final = 0.2  # of the mean step: each step grows at least by this, else it comes and goes
CANDIDATES: Final = 12
OUTSIDE: Final = "memory outside of Python's objects"
_GLUE: Final = frozenset(
    "dict list tuple set frozenset cell function method builtin_function_or_method type weakref.ReferenceType "
    "method-wrapper getset_descriptor property staticmethod classmethod module frame traceback generator coroutine "
    "str bytes int float collections.deque collections.OrderedDict collections.defaultdict".split()
)


class Growth(NamedTuple):
    """What grows, why we think so, and by how much a minute. `line` where code is to blame and known."""

    what: str
    why: str
    bytes_per_min: float
    count_per_min: float
    line: str
    found: bool


class Look(NamedTuple):
    """What one look has seen; nothing in it keeps an object of the host's alive."""

    census: Census
    holders: dict[tuple[int, str], Holder]  # without samples
    cpu_s: float


def look(now_s: float) -> Look:
    """Count types and find large containers. Takes about 0.1 s of CPU for half a million objects."""
    held, cpu_s = holders()
    counted = census(now_s)
    return Look(
        counted, {key: holder._replace(sample=[]) for key, holder in held.items()}, counted.cpu_s + cpu_s
    )


def name_growth(looks: Sequence[Look], bytes_per_min: float) -> Growth:
    """What explains that `bytes_per_min` more are held, by at least two looks, the last of them just taken."""
    minutes = (looks[-1].census.at_s - looks[0].census.at_s) / 60.0
    current, _ = holders()
    candidates = [
        *_containers(looks, current, minutes),
        *_types(looks, minutes),
    ]
    del current
    good = [one for one in candidates if one.bytes_per_min >= EXPLAINS * bytes_per_min]
    if good:
        return max(good, key=lambda one: one.bytes_per_min)
    opaque = [one for one in candidates if one.why.startswith(_OPAQUE)]
    if opaque:
        return max(opaque, key=lambda one: one.count_per_min)._replace(bytes_per_min=bytes_per_min)
    return Growth(
        OUTSIDE, "no type and no container grows with it: buffers of a C library", bytes_per_min, 0.0, "", found=False
    )


_OPAQUE = "holds memory that Python does not see"


def _steady(values: Sequence[int]) -> int:
    """The growth from first to last, where each step has its share; else 0."""
    rise = values[-1] - values[0]
    steps = len(values) - 1
    if rise < LEAST_ENTRIES or any(b - a < STEADY * rise / steps for a, b in zip(values, values[1:], strict=False)):
        return 0
    return rise


def _containers(
    looks: Sequence[Look], current: Mapping[tuple[int, str], Holder], minutes: float
) -> Iterable[Growth]:
    for key, holder in current.items():
        lengths = [
            look.holders[key].length if key in look.holders else look.census.lengths.get(key, 0) for look in looks
        ]
        rise = _steady(lengths)
        if not rise or (holder.bound is not None and holder.length <= holder.bound):
            continue
        if not holder.sample:
            yield Growth(
                f"{holder.path}: {holder.kind}", "a buffer that is only added to", rise / minutes, 0.0, "", found=True
            )
            continue
        yield _of_entries(f"{holder.path}: {holder.kind} of {holder.entry}", holder.sample, rise / minutes)
    named = {key for key in current if key in looks[-1].holders}
    unnamed = {key: _steady([look.census.lengths.get(key, 0) for look in looks]) for key in looks[-1].census.lengths}
    wanted = sorted((key for key, rise in unnamed.items() if rise and key not in named), key=unnamed.__getitem__)
    yield from _unnamed({key[0]: unnamed[key] for key in wanted[-CANDIDATES:]}, minutes)


def _unnamed(rises: Mapping[int, int], minutes: float) -> Iterable[Growth]:
    """Containers that no module leads to: in a frame, a closure of a running task, an object of C's."""
    for ident, container in (living(set(rises)) if rises else {}).items():
        try:
            samples = recent_of(container)
        except RuntimeError:
            continue
        if samples:
            what = f"{type_name(type(container))} of {type_name(type(samples[0]))}"
            yield _of_entries(what, samples, rises[ident] / minutes)


def _of_entries(what: str, samples: list[Any], per_min: float) -> Growth:
    inner = (part for each in samples for part in (each if type(each) is tuple else (each,)))
    error = next((part for part in inner if issubclass(type(part), BaseException)), None)
    nbytes = mean_size(samples) * per_min
    if error is not None and error.__traceback__ is not None:
        return _kept_error(type_name(type(error)), error, per_min, nbytes, f"in {what}")
    entry = type_name(type(samples[0]))
    if _is_opaque(type(samples[0])):
        return Growth(what, f"{_OPAQUE}: {entry} is of a C library", nbytes, per_min, "", found=True)
    return Growth(what, f"{per_min:.0f} more entries a minute, none leave", nbytes, per_min, "", found=True)


def _types(looks: Sequence[Look], minutes: float) -> Iterable[Growth]:
    rises = {
        name: _steady([look.census.counts.get(name, 0) for look in looks]) for name in looks[-1].census.counts
    }
    kept = rises.get("traceback", 0)
    ranked = sorted((name for name, rise in rises.items() if rise and name not in _GLUE), key=rises.__getitem__)
    wanted = set(ranked[-CANDIDATES:])
    if not wanted:
        return
    for name, samples in newest(wanted).items():
        if not samples:
            continue
        per_min = rises[name] / minutes
        nbytes = mean_size(samples) * per_min
        first = samples[0]
        if kept and issubclass(type(first), BaseException) and first.__traceback__ is not None:
            yield _kept_error(name, first, per_min, nbytes, "somewhere")
            continue
        why = f"{per_min:.0f} more of them a minute"
        if not gc.isenabled():
            why += "; the garbage collector is off, so cycles stay"
        elif getattr(type(first), "__del__", None) is not None:
            why += "; they have a __del__, and are still there after collections"
        if _is_opaque(type(first)):
            why = f"{_OPAQUE}: {name} is of a C library"
        yield Growth(name, why, nbytes, per_min, "", found=True)


def _kept_error(name: str, error: BaseException, per_min: float, nbytes: float, where: str) -> Growth:
    why = f"exceptions are kept {where} with their tracebacks, which keep every frame and its variables"
    return Growth(name, why, nbytes, per_min, _raised_at(error.__traceback__), found=True)


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
