"""About how many bytes a value takes in memory."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any, Final

LOOKED_AT: Final = 64  # items of a collection; the rest is taken to be like them
DEEPEST: Final = 8
_ATOMS: Final = frozenset({str, bytes, int, float, bool, type(None)})


def size_of(value: Any) -> int:
    """Bytes of `value` and what it holds; estimated from a sample where they are many, so it takes 100 µs at most.

    What several values share counts for each of them. Objects count with their attributes.
    """
    return sys.getsizeof(value) if type(value) in _ATOMS else _size(value, DEEPEST)


def _size(value: Any, depth: int) -> int:  # noqa: PLR0911  one line for each sort of thing
    try:
        own = sys.getsizeof(value)
    except Exception:  # noqa: BLE001  a host's __sizeof__ may fail
        return 64
    if type(value) in _ATOMS or not depth:
        return own
    if isinstance(value, dict):
        return own + _sampled(len(value), [_size(k, depth - 1) + _size(v, depth - 1) for k, v in _first(value.items())])
    if isinstance(value, (list, tuple, set, frozenset)):
        return own + _sampled(len(value), [_size(item, depth - 1) for item in _first(value)])
    nbytes = getattr(value, "nbytes", None)  # numpy's arrays and the like
    if isinstance(nbytes, int):
        return own + nbytes
    inside = getattr(value, "__dict__", None)
    if type(inside) is dict:
        return own + _size(inside, depth - 1)
    return own


def _first(items: Any) -> list[Any]:
    try:
        return list(islice(items, LOOKED_AT))
    except RuntimeError:  # changed by another thread meanwhile
        return []


def _sampled(number: int, sizes: list[int]) -> int:
    return sum(sizes) * number // len(sizes) if sizes else 0
