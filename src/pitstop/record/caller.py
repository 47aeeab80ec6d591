"""The line of the host's own code that caused what is being filed: ``shop/orders.py:120 in list_orders``.

The first frame outside libraries: neither site-packages, nor the standard library, nor Pitstop, nor generated code.

CPython makes an object for every frame that is looked at, 0.1 µs each, and ten or twenty lie between a query and the
code that asked for it. So a place that was found by walking is remembered with its depth: the next time, the frame at
that depth and the one half way to it are looked at, and when both run the same code the rest does, too.
"""

from __future__ import annotations

import os
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING

from pitstop.model.trace import LINE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType, FrameType

CAPACITY = 4096  # files and lines remembered; beyond it all are looked up anew
_DEEPEST = 400  # frames looked at: a recursion of the host's must not cost more than its query
_DEPTHS = 4  # tried before walking: a host calls its libraries from a few depths over and over
_SHOWN_PARTS = 3  # of a path that is below no folder of sys.path: where a host lives is nobody's business
_PACKAGES = ("site-packages", "dist-packages")

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120  pathlib is slow
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep  # noqa: PTH100, PTH120
_PROGRAMS = tuple({os.path.join(prefix, "bin") + os.sep for prefix in (sys.prefix, sys.base_prefix)})  # noqa: PTH118
_NO_ATTRS: Mapping[str, object] = MappingProxyType({})


class _Files(dict[str, bool]):
    """Whether a file is the host's own, by the name that its code objects carry."""

    def __missing__(self, filename: str) -> bool:
        if len(self) >= CAPACITY:  # code that is generated may have a new name each time
            self.clear()
        own = self[filename] = _is_own(filename)
        return own


def _is_own(filename: str) -> bool:
    if filename.startswith("<") or not filename:
        return False
    path = os.path.abspath(filename)  # noqa: PTH100
    return not (
        path.startswith((OURS, _STANDARD, *_PROGRAMS)) or any(f"{os.sep}{p}{os.sep}" in path for p in _PACKAGES)
    )


OWN = _Files()
"""``OWN[code.co_filename]``: whether it is the host's own code, and not a library's."""

_sites: dict[tuple[int, int, int, int], tuple[str, CodeType, CodeType]] = {}
_depths: tuple[int, ...] = ()  # where a frame of the host's was found, the last one first
_attrs: dict[tuple[int, str], tuple[Mapping[str, object], Mapping[str, object]]] = {}
_shown: dict[str, str] = {}
_getframe = sys._getframe  # noqa: SLF001  documented for such use, and nothing else is fast enough


def code_line() -> str:
    """``file:line in function`` of the host's code that called, or ``""`` where only libraries did.

    For whoever files a query or a call, in the thread (or greenlet) that made it, during the call. Never raises, ≤ 1 µs
    where it was called from before.
    """
    global _depths  # noqa: PLW0603  replaced at once, so that other threads see one or the other
    depths = _depths
    try:
        for depth in depths:
            frame = _getframe(depth)
            known = _sites.get((id(frame.f_code), frame.f_lasti, id(_getframe(depth >> 1).f_code), depth))
            if known is not None:
                if depth != depths[0]:  # the next one is most likely as deep
                    _depths = (depth, *(other for other in depths if other != depth))
                return known[0]
    except ValueError:  # the stack is not that deep
        pass
    return _found(_getframe())


def _found(here: FrameType) -> str:
    """Walk to the line from the frame of `code_line`, and remember it."""
    global _depths  # noqa: PLW0603  replaced at once, so that other threads see one or the other
    frame, depth = _own_frame(here, 0)
    if frame is None:
        frame = _beyond_greenlets()
        return "" if frame is None else _kept(frame, frame.f_code, 0)
    middle: FrameType | None = here
    for _ in range(depth >> 1):
        middle = middle and middle.f_back
    _depths = tuple(dict.fromkeys((depth, *_depths)))[:_DEPTHS]
    return _kept(frame, (middle or frame).f_code, depth)


def _kept(frame: FrameType, between: CodeType, depth: int) -> str:
    code = frame.f_code
    site = (id(code), frame.f_lasti, id(between), depth)
    known = _sites.get(site)
    if known is None:
        if len(_sites) >= CAPACITY:
            _sites.clear()
        # holds what it is found by, so that no id is given to another
        known = _sites[site] = (place(code, frame.f_lineno or 0), code, between)
    return known[0]


def line_attrs(base: Mapping[str, object] = _NO_ATTRS) -> Mapping[str, object]:
    """`base` with the code line added as ``line``: one shared mapping for each base and line. `base` where none is.

    Pass the same `base` object each time, such as ``{"db.system": "postgresql"}`` made once for an engine.
    """
    line = code_line()
    if not line:
        return base
    known = _attrs.get((id(base), line))
    if known is not None:
        return known[1]
    if len(_attrs) >= CAPACITY:
        _attrs.clear()
    made: Mapping[str, object] = {**base, LINE: line}
    _attrs[id(base), line] = (base, made)
    return made


def place(code: CodeType, line: int) -> str:
    """``file:line in function``, the file below the folder of `sys.path` that it is imported from."""
    return f"{shown(code.co_filename)}:{line} in {function_name(code)}"


def function_name(code: CodeType) -> str:
    """``list_orders`` or ``Orders.list``; of a lambda or comprehension, the function it stands in."""
    name = code.co_qualname
    while name.endswith(">") and ".<locals>." in name:
        name = name.rpartition(".<locals>.")[0]
    return name.rpartition("<locals>.")[2]


def shown(filename: str) -> str:
    """`filename` below the folder it is imported from, or its last parts; never a home folder."""
    known = _shown.get(filename)
    if known is None:
        if len(_shown) >= CAPACITY:
            _shown.clear()
        known = _shown[filename] = _below_path(filename)
    return known


def _below_path(filename: str) -> str:
    if filename.startswith("<"):
        return filename
    path = os.path.abspath(filename)  # noqa: PTH100
    try:
        here = os.getcwd()  # noqa: PTH109
    except OSError:  # it was removed
        here = ""
    roots = {os.path.abspath(entry) if entry else here for entry in (*sys.path, "")}  # noqa: PTH100
    below = [root for root in roots if root and path.startswith(root.rstrip(os.sep) + os.sep)]
    if below:
        return path[len(max(below, key=len).rstrip(os.sep)) + 1 :].replace(os.sep, "/")
    return "/".join(path.replace(os.sep, "/").split("/")[-_SHOWN_PARTS:])


def _own_frame(frame: FrameType | None, depth: int) -> tuple[FrameType | None, int]:
    """The first frame of the host's own from `frame` outwards, which is at `depth`, and its depth."""
    own = OWN
    for at in range(depth, depth + _DEEPEST):
        if frame is None:
            break
        if own[frame.f_code.co_filename]:
            return frame, at
        frame = frame.f_back
    return None, 0


def _beyond_greenlets() -> FrameType | None:
    """The same in the greenlets that this one was switched to from: SQLAlchemy's async engines run in one."""
    module = sys.modules.get("greenlet")
    if module is None:
        return None
    try:
        running = module.getcurrent().parent
        while running is not None:
            frame, _ = _own_frame(running.gr_frame, 0)
            if frame is not None:
                return frame
            running = running.parent
    except Exception:  # noqa: BLE001  another module of that name
        return None
    return None
