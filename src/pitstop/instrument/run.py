"""``pitstop run -- CMD``: any Python program, recorded, with no change to it and its process id, signals and exit code.

The program replaces this process. Its environment carries a folder with a ``sitecustomize`` at the front of
``PYTHONPATH``, so that its children are recorded, too. Python started with ``-I``, ``-E`` or ``-S`` ignores that.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")  # noqa: PTH100, PTH118, PTH120
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126  # as shells answer


def environment_for(
    environ: Mapping[str, str], *, service: str | None = None, store: str | None = None
) -> dict[str, str]:
    """`environ` with what makes a Python program in it record itself."""
    path = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != BOOTSTRAP]
    out = {**environ, "PYTHONPATH": os.pathsep.join([BOOTSTRAP, *path])}
    if service is not None:
        out["PITSTOP_SERVICE"] = service
    if store is not None:
        out["PITSTOP_STORE"] = store
    return out


def run(command: Sequence[str], *, service: str | None = None, store: str | None = None) -> NoReturn:
    """Become `command`. Raises SettingError when there is none; exits 127 or 126 when it cannot be started."""
    if not command:
        raise SettingError("there is no command to run; write it after two dashes: pitstop run -- uvicorn shop:app")
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(command[0], list(command), environment_for(os.environ, service=service, store=store))  # noqa: S606
    except FileNotFoundError:
        sys.stderr.write(f"pitstop: {command[0]} is not found; is its environment active?\n")
        raise SystemExit(_NOT_FOUND) from None
    except OSError as error:
        sys.stderr.write(f"pitstop: {command[0]} cannot be started: {error}\n")
        raise SystemExit(_NOT_EXECUTABLE) from None


if __name__ == "__main__":
    run(sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:])
