"""Calls to other services, whichever client makes them: their names, their code lines, and the trace that goes along.

A call is filed when its headers are there, so that it counts even where nobody reads the body, and made longer when the
body was read. Nothing of a path, query, header or body is looked at.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from pitstop.instrument.live import fault
from pitstop.instrument.names import METHODS, OTHER_METHOD, OUTCOMES
from pitstop.instrument.propagation import may_tell
from pitstop.model.series import HTTP_CLIENT
from pitstop.record.caller import line_attrs
from pitstop.record.leaf import leaf
from pitstop.record.operation import get_current

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.model.record import ChildFields

    Filed = tuple[list[ChildFields], int, int] | None  # where a call was filed, its place and its start

ERROR = "error"
TRACEPARENT = "traceparent"
CAPACITY = 4096  # hosts whose names are remembered
_LONGEST_HOST = 255  # characters: RFC 1035, 2.3.4
_DEFAULT_PORTS = (None, 80, 443)
_START_NS, _END_NS = 3, 4  # in the fields of a child

_names: dict[tuple[str, str, int | None], str] = {}
now_ns = perf_counter_ns


def name_of(method: str, host: str, port: int | None) -> str:
    """``GET api.example.com:8080``, without a port that is the scheme's own."""
    key = (method, host, port)
    known = _names.get(key)
    if known is None:
        upper = method.upper()
        shown = host.lower()[:_LONGEST_HOST]
        if ":" in shown and not shown.startswith("["):
            shown = f"[{shown}]"
        known = f"{upper if upper in METHODS else OTHER_METHOD} {shown}"
        if port not in _DEFAULT_PORTS:
            known += f":{port}"
        if len(_names) >= CAPACITY:
            _names.clear()
        _names[key] = known
    return known


def traceparent_for(host: str, start_ns: int) -> str | None:
    """The header for a call to `host` that began at `start_ns`, or None where that host is not to know.

    The other side's parent is `start_ns`, which is what the call is known by here (`pitstop.model.trace`).
    """
    op = get_current()
    if op is None:
        return None
    root = op.root or op
    if not root.kind or not may_tell(root, host):
        return None
    return f"00-{root.trace_id}-{start_ns:016x}-{'01' if root.weight else '00'}"


def has_traceparent(names: Iterable[object]) -> bool:
    """Whether one of these header names is ours already."""
    return any(isinstance(name, (str, bytes)) and name.lower() in (TRACEPARENT, b"traceparent") for name in names)


def file_call(name: str, status: int | None, start_ns: int) -> Filed:
    """File a call that was answered with `status`, or failed (None); where it stands, for `body_read`."""
    end_ns = now_ns()
    try:
        outcome = ERROR if status is None else OUTCOMES[status]
        children = leaf(HTTP_CLIENT, name, outcome, start_ns, end_ns, 0, line_attrs())
        if children and children[-1][_START_NS] == start_ns:
            return children, len(children) - 1, start_ns
    except Exception:  # noqa: BLE001  the host goes on
        fault("outgoing.file")
    return None


def body_read(filed: Filed) -> None:
    """The body of the call at `filed` is read, or given up: it lasted until now."""
    if filed is None:
        return
    children, place, start_ns = filed
    try:
        fields = children[place]
        if fields[_START_NS] == start_ns:
            children[place] = (*fields[:_END_NS], now_ns(), *fields[_END_NS + 1 :])  # type: ignore[assignment]  # the same but for the end
    except Exception:  # noqa: BLE001
        fault("outgoing.body")
