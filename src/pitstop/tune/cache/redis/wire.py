"""Redis' protocol without any I/O: what is sent and what comes back, by hiredis (≥ 3.0).

A connection of ours either has matched each reply to its command, in order, or is closed: after an error, a deadline
or a cancelled call it is never used again for another's answer (what redis-py did before 4.5.5: CVE-2023-28858).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pitstop.model.errors import PitstopError, SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.redis.address import Node

try:
    import hiredis
except ImportError as error:  # pragma: no cover  the tests have it
    raise SettingError("a cache's Redis level needs hiredis: pip install 'hiredis>=3'") from error

Arg = bytes | str | int | float
Command = tuple[Arg, ...]
Reply = Any

NOTHING: Final = object()  # the reader has no whole reply yet
READ_BYTES: Final = 65_536
NAME: Final = ("CLIENT", "SETNAME", "pitstop-cache")
UNAVAILABLE: Final = frozenset({"LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"})
"""What a server says that cannot do it now; another one, or this one later, can."""

ReplyError = hiredis.ReplyError
PushNotification = hiredis.PushNotification
pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]  # its stub says a tuple of one


class WireError(PitstopError, ConnectionError):
    """A server gave no answer: no connection, a closed one, or none in time."""


class Ask(NamedTuple):
    """What goes to one server in one piece, how many replies belong to it, what share of the time left it may take."""

    node: Node
    packed: bytes
    replies: int
    share: float = 1.0


def ask(node: Node, commands: Sequence[Command]) -> Ask:
    """`commands` for `node`."""
    return Ask(node, b"".join(map(pack, commands)), len(commands))


def reader() -> Any:
    """A parser of replies; `gets` answers `NOTHING` until a whole one was fed."""
    return hiredis.Reader(notEnoughData=NOTHING)


def code(reply: Reply) -> str:
    """The first word of an error, such as MOVED; empty when `reply` is none."""
    return str(reply).partition(" ")[0] if isinstance(reply, ReplyError) else ""
