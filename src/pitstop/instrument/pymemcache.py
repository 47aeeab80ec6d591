"""pymemcache (≥ 4.0): every command one cache operation, by its name, as memcached counts them.

Storing many values is as many commands, which share their time; fetching many is one, as on the wire.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.commands import ERROR, HIT, MISS, OK, UNKNOWN, shares
from pitstop.instrument.live import fault
from pitstop.model.series import CACHE
from pitstop.record.caller import line_attrs
from pitstop.record.leaf import leaf
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable

ATTRS = {"db.system": "memcached"}
_COMMANDS = {
    b"get": "GET", b"gets": "GETS", b"set": "SET", b"add": "ADD", b"replace": "REPLACE", b"append": "APPEND",
    b"prepend": "PREPEND", b"cas": "CAS", b"delete": "DELETE", b"incr": "INCR", b"decr": "DECR", b"touch": "TOUCH",
    b"stats": "STATS", b"version": "VERSION", b"flush_all": "FLUSH_ALL", b"quit": "QUIT", b"shutdown": "SHUTDOWN",
    b"cache_memlimit": "CACHE_MEMLIMIT",
}  # fmt: skip
# `raw_command` sends anything
_now = perf_counter_ns


def _recorded(original: Any, name_at: int, file: Callable[[tuple[Any, ...], Any, str, int], None]) -> Any:
    def send_recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not RECORDER.on:
            return original(self, *args, **kwargs)
        start_ns = _now()
        response, error = None, True
        try:
            response = original(self, *args, **kwargs)
            error = False
        finally:
            try:
                name = _COMMANDS.get(args[name_at], UNKNOWN)
                if error:
                    leaf(CACHE, name, ERROR, start_ns, _now(), 0, line_attrs(ATTRS))
                else:
                    file(args, response, name, start_ns)
            except Exception:  # noqa: BLE001  the host goes on
                fault("pymemcache.file")
        return response

    return send_recorded


def _file_fetched(args: tuple[Any, ...], response: Any, name: str, start_ns: int) -> None:
    outcome = (HIT if response and len(response) >= len(args[1]) else MISS) if name in ("GET", "GETS") else OK
    leaf(CACHE, name, outcome, start_ns, _now(), 0, line_attrs(ATTRS))


def _file_many(count: int, name: str, start_ns: int) -> None:
    attrs = line_attrs(ATTRS)
    for began_ns, ended_ns in shares(start_ns, _now(), count):
        leaf(CACHE, name, OK, began_ns, ended_ns, 0, attrs)


def _fetch(original: Any) -> Any:
    """For ``Client._fetch_cmd(name, keys, …)``."""
    return _recorded(original, 0, _file_fetched)


def _store(original: Any) -> Any:
    """For ``Client._store_cmd(name, values, …)``."""
    return _recorded(original, 0, lambda args, _, name, start_ns: _file_many(len(args[1]), name, start_ns))


def _misc(original: Any) -> Any:
    """For ``Client._misc_cmd(cmds, cmd_name, …)``."""
    return _recorded(original, 1, lambda args, _, name, start_ns: _file_many(len(args[0]), name, start_ns))


POINTS = (("Client", "_fetch_cmd", _fetch), ("Client", "_store_cmd", _store), ("Client", "_misc_cmd", _misc))


def attach(module: Any) -> None:
    """Record what ``pymemcache.client.base`` sends from now on; pooled and hashing clients use its client."""
    replacing.attach(module, POINTS)


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS)
