"""A closer look at a running process, on request: ``pitstop profile --pid 4711 --seconds 10``.

No signal is taken from the host and no port opened. Each recorded process is known by a file in a folder that only its
user may enter; whoever may write there asks with a second file, which the flusher's thread looks for once a second, and
finds the answer in a third. Works across processes of one machine (and one container) that share ``/tmp``.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.model.columns import Profiles
from pitstop.model.errors import NotFoundError, PitstopError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.record.tally import Tally

LONGEST_S = 300.0
FASTEST_HZ = 1000.0
DEFAULT_HZ = 200.0
_KNOWN, _ASKED, _ANSWERED = "process", "asked", "answered"
_OWNER_ONLY = 0o700


class Target(NamedTuple):
    """A recorded process that can be asked, and where."""

    pid: int
    service: str
    folder: str


def folder_of(uid: int) -> str:
    """Where processes of that user are found: below its runtime folder where there is one, else in ``/tmp``."""
    run = f"/run/user/{uid}"
    return os.path.join(run, "pitstop") if _is_own(run, uid) else f"/tmp/pitstop-{uid}"  # noqa: S108, PTH118  checked


def _is_own(path: str, uid: int) -> bool:
    """Whether `path` is a folder, no link, of that user's, which no other may enter."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o077


def _path(folder: str, *parts: object) -> str:
    return os.path.join(folder, ".".join(map(str, parts)))  # noqa: PTH118  pathlib is not imported on the host's path


def _write(path: str, content: object) -> None:
    """All of it or nothing, readable by the folder's owner only."""
    import json  # noqa: PLC0415  a host that is never asked should not pay for it

    part = f"{path}.part"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False)
    if os.geteuid() == 0:  # asked by root: the process must be able to read it
        owner = os.stat(os.path.dirname(path))  # noqa: PTH116, PTH120
        os.chown(part, owner.st_uid, owner.st_gid)
    os.replace(part, path)  # noqa: PTH105


def _read(path: str) -> Any:
    import json  # noqa: PLC0415

    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return json.load(file)


class Desk:
    """Takes requests for one process. `poll` is for the flusher's thread, about once a second.

    `burst` starts sampling for (seconds, per second) and returns what collects it; `finish` ends it.
    """

    def __init__(self, service: str, burst: Callable[[float, float], Tally], finish: Callable[[], None]) -> None:
        self.service = service
        self._burst = burst
        self._finish = finish
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """A child is a process of its own."""
        self._folder = ""
        self._pid = 0
        self._running: tuple[Tally, float, str] | None = None

    def poll(self) -> None:
        """Make this process known, take a request, answer one whose time is over."""
        if not self._pid:
            self._open()
        if not self._folder:
            return
        if self._running is not None:
            tally, end_s, name = self._running
            if time.monotonic() >= end_s:
                self._running = None
                self._finish()
                self._answer(name, tally)
            return
        asked = _path(self._folder, self._pid, _ASKED)
        try:
            os.stat(asked)  # noqa: PTH116
        except OSError:
            return
        with suppress(OSError, ValueError, TypeError, KeyError):
            request = _read(asked)
            os.unlink(asked)  # noqa: PTH108
            seconds = min(max(float(request["seconds"]), 0.1), LONGEST_S)
            rate_hz = min(max(float(request["hz"]), 1.0), FASTEST_HZ)
            name = request["name"]
            if isinstance(name, str) and name.isalnum():
                self._running = (self._burst(seconds, rate_hz), time.monotonic() + seconds, name)

    def close(self) -> None:
        """Be known no more."""
        if self._folder and self._pid == os.getpid():
            with suppress(OSError):
                os.unlink(_path(self._folder, self._pid, _KNOWN))  # noqa: PTH108
        self._folder = ""

    def _open(self) -> None:
        self._pid = os.getpid()
        if not hasattr(os, "geteuid"):  # Windows
            return
        folder = folder_of(os.geteuid())
        with suppress(OSError):
            with suppress(FileExistsError):
                os.mkdir(folder, _OWNER_ONLY)  # noqa: PTH102
            if _is_own(folder, os.geteuid()):
                _write(_path(folder, self._pid, _KNOWN), {"service": self.service})
                self._folder = folder

    def _answer(self, name: str, tally: Tally) -> None:
        rows = tally.take(time.time(), final=True)
        with suppress(OSError):
            _write(
                _path(self._folder, self._pid, name, _ANSWERED),
                {column: list(getattr(rows, column)) for column in Profiles.__slots__},
            )


# -- the side that asks -----------------------------------------------------------------------------------------------


def targets(*, pid: int | None = None, service: str | None = None) -> list[Target]:
    """Recorded processes that run here, of this user (for root: the process's), that one or those of a service.

    For a process that is not recorded itself, such as a server that starts workers, those that it has started.
    What dead ones have left is cleared away. Raises NotFoundError when there is none.
    """
    uids = {os.geteuid()}
    if pid is not None:
        with suppress(OSError):
            uids.add(os.stat(f"/proc/{pid}").st_uid)  # noqa: PTH116
    found: list[Target] = []
    for folder in map(folder_of, sorted(uids)):
        if not any(_is_own(folder, uid) for uid in uids):
            continue
        for entry in sorted(os.listdir(folder)):  # noqa: PTH208
            known, _, kind = entry.partition(".")
            if not known.isdecimal():
                continue
            if not _lives(int(known)):
                with suppress(OSError):
                    os.unlink(os.path.join(folder, entry))  # noqa: PTH108, PTH118
            elif kind == _KNOWN:
                with suppress(OSError, ValueError):
                    found.append(Target(int(known), str(_read(_path(folder, entry))["service"]), folder))
    found = [one for one in found if service in {None, one.service}]
    if pid is not None:
        found = [one for one in found if one.pid == pid] or [one for one in found if pid in _ancestors(one.pid)]
    if not found:
        wanted = f"process {pid}" if pid is not None else f"process of the service '{service}'"
        raise NotFoundError(
            f"no {wanted} is known here: it must run recorded, with profile_hz above 0, have had a request, "
            "and belong to this user; start it by `pitstop run`, or ask as root"
        )
    return found


def _ancestors(pid: int) -> set[int]:
    """Who has started `pid`, where ``/proc`` tells."""
    found: set[int] = set()
    with suppress(OSError, ValueError, IndexError):
        while pid > 1 and pid not in found:
            found.add(pid)
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                pid = int(file.read().rpartition(")")[2].split()[1])
    return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def ask(target: Target, seconds: float, rate_hz: float) -> str:
    """Ask for `seconds` of stacks at `rate_hz`; the name that `answer` wants. Raises PitstopError when it cannot be."""
    name = os.urandom(8).hex()
    try:
        _write(_path(target.folder, target.pid, _ASKED), {"name": name, "seconds": seconds, "hz": rate_hz})
    except OSError as error:
        raise PitstopError(f"process {target.pid} cannot be asked ({error})") from error
    return name


def answer(target: Target, name: str) -> Profiles | None:
    """What it has answered; None while it has not. Raises PitstopError when it ended before it did."""
    path = _path(target.folder, target.pid, name, _ANSWERED)
    try:
        content = _read(path)
    except FileNotFoundError:
        if not _lives(target.pid):
            raise PitstopError(f"process {target.pid} ended before it answered") from None
        return None
    except (OSError, ValueError) as error:
        raise PitstopError(f"the answer of process {target.pid} cannot be read ({error})") from error
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108
    out = Profiles()
    for column in Profiles.__slots__:
        setattr(out, column, content[column])
    return out
