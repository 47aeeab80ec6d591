"""The process that has Apprise loaded, and makes a process of its own for each message by forking.

Loading takes half a second and 70 MB; a fork of it takes 10 ms and little memory. So a message is on its way at once,
and one that hangs is ended without the others. It is there as long as an outbox with such a channel, and ends with us.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

# The program finds us where we are, but after everything else: a folder may hold a file named as a library is.
_FOLDER = str(Path(__file__).parents[2])
_PROGRAM = """
import sys
folder, fd = sys.argv[1:]
if folder not in sys.path:
    sys.path.append(folder)
from pitstop.watch.channels.apprise_child import main
main(int(fd))
"""
_PATIENCE_S = 0.9  # for it to end by itself


class AppriseHost:
    """Safe from any thread, and after a fork: the child of one makes another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._pid = 0

    def start(self) -> None:
        """Begin to load, when it is not there. Raises OSError."""
        with self._lock:
            self._started()

    def open(self) -> socket.socket:
        """Our end of a new socket; at the other is a new process. Close it and the process ends. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            with self._lock:
                try:
                    socket.send_fds(self._started(), [b"1"], [theirs.fileno()])
                except ConnectionError:  # it was killed
                    self._end(0.0)
                    socket.send_fds(self._started(), [b"1"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def stop(self) -> None:
        """End it and every process that it made."""
        with self._lock:
            self._end(_PATIENCE_S)

    @property
    def pid(self) -> int | None:
        """Of the process, None when there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _started(self) -> socket.socket:
        if self._pid == os.getpid() and self._control is not None and self._process and self._process.poll() is None:
            return self._control
        if self._pid == os.getpid():
            self._end(0.0)
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, "-P", "-c", _PROGRAM, _FOLDER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=_environment(),
            )
        finally:
            theirs.close()
        self._control, self._pid = ours, os.getpid()
        return ours

    def _end(self, patience_s: float) -> None:
        process, control, self._process, self._control = self._process, self._control, None, None
        if control is not None:
            control.close()
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, 9)  # what it made is of its group; the group is there as long as one of them is
        process.wait()


HOST = AppriseHost()


def _environment() -> dict[str, str]:
    """Of this process, without our settings, proxies and stored passwords: they would lead past the guard."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PITSTOP_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "NETRC": os.devnull, "OPENBLAS_NUM_THREADS": "1"}
