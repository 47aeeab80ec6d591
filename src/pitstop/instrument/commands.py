"""Names and outcomes of commands to caches: made once for each command, never with a key or a value in them.

A read that finds nothing, or not all that it asks for, is a ``miss``: whoever asked has to get it elsewhere. Commands
that wait for somebody else's message are kind ``queue``: their time is not what the server takes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.series import CACHE, QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterable

OK, ERROR, HIT, MISS = "ok", "error", "hit", "miss"
UNKNOWN = "(unknown)"  # what is no command's name may be anything, a key too
CAPACITY = 1024  # spellings that are remembered
_LONGEST = 40  # characters of a name; Redis' longest is 24

NONE_IS_A_MISS, ANY_NONE_IS_A_MISS, EMPTY_IS_A_MISS = 1, 2, 3
_READS = {
    "GET": NONE_IS_A_MISS, "GETEX": NONE_IS_A_MISS, "GETDEL": NONE_IS_A_MISS, "HGET": NONE_IS_A_MISS,
    "JSON.GET": NONE_IS_A_MISS, "MGET": ANY_NONE_IS_A_MISS, "HMGET": ANY_NONE_IS_A_MISS, "HGETALL": EMPTY_IS_A_MISS,
}  # fmt: skip
_WAITING = frozenset(
    [
        "BLPOP",
        "BRPOP",
        "BRPOPLPUSH",
        "BLMOVE",
        "BLMPOP",
        "BZPOPMIN",
        "BZPOPMAX",
        "BZMPOP",
        "WAIT",
        "WAITAOF",
        "PUBLISH",
        "SPUBLISH",
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "SSUBSCRIBE",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SUNSUBSCRIBE",
    ]
)
_MAY_WAIT = frozenset({"XREAD", "XREADGROUP"})  # by their argument BLOCK
_CONTAINERS = frozenset(
    [
        "ACL",
        "CLIENT",
        "CLUSTER",
        "COMMAND",
        "CONFIG",
        "DEBUG",
        "FUNCTION",
        "LATENCY",
        "MEMORY",
        "MODULE",
        "OBJECT",
        "PUBSUB",
        "SCRIPT",
        "SENTINEL",
        "SLOWLOG",
        "XGROUP",
        "XINFO",
    ]
)


class Command(NamedTuple):
    """How one command is filed. `reads` is 0 or what its miss looks like; `varies` asks for `of` at each call."""

    kind: str
    name: str
    reads: int = 0
    varies: bool = False

    def of(self, args: tuple[object, ...]) -> Command:
        """This command called with `args`, its own name the first of them."""
        if self.name in _MAY_WAIT:
            options = [_text(arg).upper() for arg in args[1:8] if isinstance(arg, (str, bytes))]
            waits = "BLOCK" in options[: options.index("STREAMS")] if "STREAMS" in options else "BLOCK" in options
            return Command(QUEUE, self.name) if waits else self
        return COMMANDS[f"{self.name} {_text(args[1])}"] if len(args) > 1 else self

    def outcome(self, response: object) -> str:
        """``hit`` or ``miss`` for a read, else ``ok``."""
        reads = self.reads
        if not reads:
            return OK
        if reads == NONE_IS_A_MISS:
            return MISS if response is None else HIT
        if reads == EMPTY_IS_A_MISS:
            return HIT if response else MISS
        return MISS if isinstance(response, (list, tuple)) and any(one is None for one in response) else HIT


class _Commands(dict[object, Command]):
    """``COMMANDS[what the application wrote]``, in any case, as text or bytes, with or without a subcommand."""

    def __missing__(self, written: object) -> Command:
        command = _command(_text(written))
        if len(self) < CAPACITY:
            self[written] = command
        return command


def _text(written: object) -> str:
    if isinstance(written, (bytes, bytearray, memoryview)):
        return bytes(written[:_LONGEST]).decode("ascii", "replace")
    return str(written)[: 2 * _LONGEST]


def _command(written: str) -> Command:
    words = written.upper().split()[:2]
    if not words or not _is_name(words[0]):
        return Command(CACHE, UNKNOWN)
    name = words[0]
    if name in _CONTAINERS:
        if len(words) == 1:
            return Command(CACHE, name, varies=True)
        return Command(CACHE, f"{name} {words[1]}" if words[1].isalpha() and len(words[1]) < _LONGEST else name)
    return Command(QUEUE if name in _WAITING else CACHE, name, _READS.get(name, 0), varies=name in _MAY_WAIT)


def _is_name(word: str) -> bool:
    return len(word) <= _LONGEST and word.isascii() and word.replace(".", "").replace("_", "").isalnum()


COMMANDS = _Commands()


def shares(start_ns: int, end_ns: int, commands: int) -> Iterable[tuple[int, int]]:
    """Start and end of each of `commands` that shared one round trip: equal parts, one after the other.

    So counts are exact, and what they took together is what the round trip took.
    """
    taken_ns = end_ns - start_ns
    borders = [start_ns + taken_ns * i // commands for i in range(commands + 1)]
    return pairwise(borders)
