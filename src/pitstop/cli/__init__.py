"""The `pitstop` command: one file a command. Heavy imports happen inside the commands.

Exit codes: 0 fine, 1 a finding or a failed threshold, 2 could not do it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

FINE = 0
FINDING = 1
COULD_NOT = 2


def main() -> NoReturn:
    """Run the command line and exit; what went wrong is one line on stderr, never a traceback."""
    from pitstop.cli.commands import app  # noqa: PLC0415  typer takes most of the start
    from pitstop.model.errors import PitstopError  # noqa: PLC0415

    try:
        sys.exit(app(prog_name="pitstop"))
    except PitstopError as error:
        sys.stderr.write(f"pitstop: {error}\n")
        sys.exit(COULD_NOT)
