"""The guard for a whole process: for code that opens its connections itself, in a process that does nothing else.

Names are looked up by our function only, which judges what they lead to and remembers it; an audit hook (PEP 578),
which nothing in the process can take away, lets a connection go nowhere but there. Starting another program is refused:
its connections would not be seen.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from pitstop.egress.addresses import host_name
from pitstop.model.errors import EgressRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.egress.addresses import Allowed

_CALLS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_PROGRAMS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn"}
)
_MOST_JUDGED = 10_000  # addresses remembered; a process that needs more starts anew


class ProcessGuard:
    """Installed by `install`, for the rest of the process's life. `refused` hears of each refusal."""

    def __init__(self, allowed: Allowed, refused: Callable[[EgressRefusedError], None]) -> None:
        self._allowed = allowed
        self._refused = refused
        self._judged: set[tuple[str, int]] = set()
        self._getaddrinfo = socket.getaddrinfo

    def install(self) -> None:
        """From now on. There is no way back."""
        socket.getaddrinfo = self._looked_up
        for name in ("connect", "connect_ex", "sendto"):
            setattr(socket.socket, name, self._pinning(getattr(socket.socket, name)))
        sys.addaudithook(self._audit)

    def _looked_up(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        try:
            name = host_name(text)
            found = self._getaddrinfo(name, port, *args, **kwargs)
            for entry in found:
                self._allowed.judge(name, ip_address(str(entry[4][0])), int(entry[4][1]))
        except EgressRefusedError as error:
            self._refused(error)
            raise
        if len(self._judged) < _MOST_JUDGED:
            self._judged.update((str(entry[4][0]).partition("%")[0], int(entry[4][1])) for entry in found)
        return found

    def _pinning(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, to the address that its name was judged to be at: C would look it up a second time, unseen."""

        def pinned(wire: socket.socket, *args: Any) -> Any:
            *before, address = args
            if isinstance(address, tuple) and address and not _is_address(str(address[0])):
                found = self._looked_up(address[0], address[1], wire.family, wire.type)
                address = found[0][4]
            return call(wire, *before, address)

        return pinned

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _CALLS:
            self._check(args[1])
        elif event in _PROGRAMS:
            self._refuse("a channel may not start another program")

    def _check(self, address: object) -> None:
        if address is None:  # sendmsg on a socket that is connected
            return
        if not isinstance(address, tuple) or len(address) < 2:  # noqa: PLR2004  host and port
            self._refuse("a channel may not use a socket of this machine")
            return
        host, port = str(address[0]).partition("%")[0], int(address[1])
        if (host, port) in self._judged:
            return
        try:
            name = host_name(host)
            self._allowed.judge(name, ip_address(name), port)
        except EgressRefusedError as error:
            self._refused(error)
            raise
        except ValueError:
            self._refuse("a channel may not look up names by itself")

    def _refuse(self, why: str) -> None:
        error = EgressRefusedError(why)
        self._refused(error)
        raise error


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
