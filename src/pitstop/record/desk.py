"""Asking a running process of this machine: ``pitstop profile --pid 4711``, ``pitstop cache invalidate``.

No signal is taken from the host and no port opened. Each recorded process is known by a file in a folder that only its
user may enter; whoever may write there asks with a second file, which the flusher's thread looks for once a second, and
finds the answer in a third. Works across processes of one machine (and one container) that share ``/tmp``. What can be
asked is in `pitstop.record.asks`; each answer is made in a thread of its own. Whoever gives up takes its request back:
a process that was stopped does not do it when it goes on.
"""

from __future__ import annotations

import math
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.model.errors import NotFoundError, PitstopError
from pitstop.record.asks import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MOST_RUNNING = 4  # answers of a process at once; further requests wait
LOOK_EVERY_S = 0.1
_KNOWN, _ASKED, _ANSWERED = "process", "asked", "answered"
_OWNER_ONLY = 0o700


class Target(NamedTuple):
    """A recorded process that can be asked, where, and what."""

    pid: int
    service: str
    folder: str
    can: tuple[str, ...] = ()


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

    `start_thread` runs a function in a thread of its own.
    """

    def __init__(self, service: str, start_thread: Callable[[Callable[[], None]], None]) -> None:
        self.service = service
        self._start_thread = start_thread
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """A child is a process of its own."""
        self._folder = ""
        self._pid = 0
        self._can: tuple[str, ...] = ()
        self._running: list[str] = []

    def poll(self) -> None:
        """Make this process and what it answers known, and begin to answer what was asked."""
        if not self._pid:
            self._open()
        if not self._folder:
            return
        with suppress(OSError):
            if self._can != tuple(sorted(ANSWERS)):
                self._make_known()
            prefix, suffix = f"{self._pid}.", f".{_ASKED}"
            for entry in os.listdir(self._folder):  # noqa: PTH208  pathlib is not imported on the host's path
                if entry.startswith(prefix) and entry.endswith(suffix) and len(self._running) < MOST_RUNNING:
                    self._take(entry)

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
                self._folder = folder
                self._make_known()

    def _make_known(self) -> None:
        can = tuple(sorted(ANSWERS))
        _write(_path(self._folder, self._pid, _KNOWN), {"service": self.service, "can": can})
        self._can = can

    def _take(self, entry: str) -> None:
        """Begin to answer the request of that file; one that makes no sense or comes too late is dropped."""
        path = _path(self._folder, entry)
        request = None
        with suppress(OSError, ValueError):
            request = _read(path)
        try:
            os.unlink(path)  # noqa: PTH108
        except OSError:
            return  # whoever removes the file has it: it was taken back
        name = entry.split(".")[1]
        if isinstance(request, dict) and name.isalnum():
            what, arguments, until_s = request.get("what"), request.get("arguments"), request.get("until_s")
            until_s = until_s if isinstance(until_s, (int, float)) else math.inf
            if isinstance(what, str) and isinstance(arguments, dict) and time.time() <= until_s:
                self._running.append(name)
                try:
                    self._start_thread(lambda: self._answer(name, what, arguments, until_s))
                except RuntimeError as error:  # no more threads
                    self._running.remove(name)
                    _write(_path(self._folder, self._pid, name, _ANSWERED), {"error": f"not now: {error}"})

    def _answer(self, name: str, what: str, arguments: Mapping[str, Any], until_s: float) -> None:
        folder, pid = self._folder, self._pid
        try:
            answer = ANSWERS.get(what)
            if answer is None:
                raise PitstopError(f"process {pid} cannot answer '{what}'; it can {', '.join(self._can) or 'nothing'}")  # noqa: TRY301  one form of answer
            content = {"answer": answer(arguments)}
        except PitstopError as error:
            content = {"error": str(error)}
        except Exception as error:  # noqa: BLE001  the host goes on, whoever asked is told
            content = {"error": f"process {pid} failed to answer '{what}': {error!r}"}
        finally:
            if name in self._running:
                self._running.remove(name)
        if time.time() > until_s:
            return  # nobody is there to read it and clear it away
        with suppress(OSError, TypeError, ValueError):
            _write(_path(folder, pid, name, _ANSWERED), content)


# -- the side that asks -----------------------------------------------------------------------------------------------


def targets(*, pid: int | None = None, service: str | None = None, what: str | None = None) -> list[Target]:
    """Recorded processes that run here, of this user (for root: the process's), that one or those of a service.

    With `what`, those that can answer it. For a process that is not recorded itself, such as a server that starts
    workers, those that it has started. What dead ones have left is cleared away. Raises NotFoundError when there is
    none.
    """
    uids = {os.geteuid()}
    if pid is not None:
        with suppress(OSError):
            uids.add(os.stat(f"/proc/{pid}").st_uid)  # noqa: PTH116
    folders = [folder for folder in map(folder_of, sorted(uids)) if any(_is_own(folder, uid) for uid in uids)]
    found = [one for folder in folders for one in _known_in(folder) if service in {None, one.service}]
    if pid is not None:
        found = [one for one in found if one.pid == pid] or [one for one in found if pid in _ancestors(one.pid)]
    wanted = f"process {pid}" if pid is not None else f"process of the service '{service}'" if service else "process"
    if not found:
        raise NotFoundError(
            f"no {wanted} is known here: it must run recorded, have had a request, and belong to this user; "
            "start it by `pitstop run`, or ask as root"
        )
    able = [one for one in found if what is None or what in one.can]
    if not able:
        can = sorted({name for one in found for name in one.can})
        raise NotFoundError(f"no {wanted} here can answer '{what}'; it can {', '.join(can) or 'nothing yet'}")
    return able


def _known_in(folder: str) -> list[Target]:
    """Processes that live; what dead ones have left goes."""
    found: list[Target] = []
    for entry in sorted(os.listdir(folder)):  # noqa: PTH208
        known, _, kind = entry.partition(".")
        if not known.isdecimal():
            continue
        if not _lives(int(known)):
            with suppress(OSError):
                os.unlink(os.path.join(folder, entry))  # noqa: PTH108, PTH118
        elif kind == _KNOWN:
            with suppress(OSError, ValueError):
                told = _read(_path(folder, entry))
                found.append(Target(int(known), str(told["service"]), folder, tuple(told.get("can", ()))))
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


def ask(target: Target, what: str, arguments: Mapping[str, object], *, until_s: float | None = None) -> str:
    """Ask for `what`; the name that `answer` wants. From `until_s` on, Unix time, it is neither begun nor answered.

    Raises PitstopError when it cannot be asked.
    """
    name = os.urandom(8).hex()
    request = {"what": what, "arguments": arguments, "until_s": until_s}
    try:
        _write(_path(target.folder, target.pid, name, _ASKED), request)
    except OSError as error:
        raise PitstopError(f"process {target.pid} cannot be asked ({error})") from error
    return name


def answer(target: Target, name: str) -> tuple[Any] | None:
    """What it has answered, as the only one of a tuple; None while it has not.

    Raises PitstopError with what it says when it could not, and when it ended before it did.
    """
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
    if "error" in content:
        raise PitstopError(str(content["error"]))
    return (content["answer"],)


def withdraw(target: Target, name: str) -> bool:
    """Take a request back that nobody waits for any more, and what it has answered; False: it was begun already."""
    with suppress(OSError):
        os.unlink(_path(target.folder, target.pid, name, _ANSWERED))  # noqa: PTH108
    try:
        os.unlink(_path(target.folder, target.pid, name, _ASKED))  # noqa: PTH108
    except OSError:
        return False
    return True


def ask_all(
    asked: Iterable[Target],
    what: str,
    arguments: Mapping[str, object],
    *,
    patience_s: float,
    waiting: Callable[[int, float], None] = lambda _left, _waited_s: None,
) -> tuple[dict[Target, Any], list[str]]:
    """Ask all of them and wait for at most `patience_s`: their answers, and in words why others gave none.

    Who has not begun by then will not, and who has is named so: it may still do what it was asked for. `waiting` is
    told how many are still to answer, and for how long it has waited, seconds.
    """
    answers: dict[Target, Any] = {}
    problems: list[str] = []
    names: dict[Target, str] = {}
    until_s = time.time() + patience_s
    begun_s = time.monotonic()
    try:
        for target in asked:
            try:
                names[target] = ask(target, what, arguments, until_s=until_s)
            except PitstopError as error:
                problems.append(str(error))
        _collect(names, answers, problems, begun_s, patience_s, waiting)
    finally:  # time is over, or whoever waits has been interrupted
        for target, name in names.items():
            problems.append(_given_up(target, name))
    return answers, problems


def _given_up(target: Target, name: str) -> str:
    if withdraw(target, name):
        return f"process {target.pid} does not answer; is it stopped?"
    return f"process {target.pid} does not answer in time; it has begun with the request and may still do it"


def _collect(
    names: dict[Target, str],
    answers: dict[Target, Any],
    problems: list[str],
    begun_s: float,
    patience_s: float,
    waiting: Callable[[int, float], None],
) -> None:
    """Move what comes from `names` to `answers` or `problems`, until nothing is left or the time is over."""
    while names:
        for target, name in list(names.items()):
            try:
                found = answer(target, name)
            except PitstopError as error:
                problems.append(str(error))
                del names[target]
                continue
            if found is not None:
                answers[target] = found[0]
                del names[target]
        waited_s = time.monotonic() - begun_s
        over = waited_s > patience_s
        waiting(0 if over else len(names), waited_s)
        if over:
            return
        if names:
            time.sleep(LOOK_EVERY_S)
