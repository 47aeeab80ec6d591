"""``pitstop demo``: the sample shop of a checkout, under traffic, with its dashboard."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer  # noqa: TC002  typer reads the annotations

from pitstop.model.errors import NotFoundError

SCRIPT = Path("examples/shop/demo.py")


def script(folders: tuple[Path, ...]) -> Path:
    """The demo's script in the first of `folders` that has it. Raises NotFoundError."""
    for folder in folders:
        if (folder / SCRIPT).is_file():
            return folder / SCRIPT
    raise NotFoundError(f"{SCRIPT} is not here; it comes with a clone of the project, where 'make demo' runs it, too")


def demo(context: typer.Context) -> None:
    """A sample shop under traffic, with its dashboard (in a clone of the project). Ctrl-C stops all of it."""
    found = script((Path.cwd(), Path(__file__).resolve().parents[3]))
    os.execv(sys.executable, [sys.executable, str(found), *context.args])  # noqa: S606  no shell: our own script
