"""Programs that the demo starts, watches and stops, each by its own id and with everything it has started itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LAST_LINES = 15
POLL_S = 0.05


class Child:
    """One program in a process group of its own, working in `folder`; what it prints goes to `log`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  the demo's own programs
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def last_lines(self) -> str:
        """What it said last."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])

    def answers(self, port: int, timeout_s: float) -> bool:
        """Whether something listens on `port` within `timeout_s` while it runs."""
        deadline_s = time.monotonic() + timeout_s
        while self.exit_code is None and time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(POLL_S)
            else:
                return True
        return False

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Ask it to end, wait, end what is left by force; whether it went by itself."""
        if self.exit_code is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        alone = self.exit_code is not None and self._group_ends(timeout_s / 5)
        if not alone:
            self._signal_group(signal.SIGKILL)
            self._process.wait()
        return alone

    def _group_ends(self, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while self._signal_group(0):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(POLL_S)
        return True

    def _signal_group(self, number: int) -> bool:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def free_port(wanted: int) -> int:
    """`wanted` when nobody listens there, else one that is free now."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")
