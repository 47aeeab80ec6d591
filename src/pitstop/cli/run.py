"""``pitstop run -- CMD``: any Python web server, recorded, without a change to it."""

from __future__ import annotations

from typing import Annotated

import typer

from pitstop.cli.options import StoreUrl  # noqa: TC001  typer reads the annotations
from pitstop.model.errors import SettingError


def run(
    context: typer.Context,
    service: Annotated[str | None, typer.Option("--service", metavar="NAME", help="Name to record under.")] = None,
    store: StoreUrl = None,
) -> None:
    """Run CMD and its children recorded: pitstop run -- uvicorn shop:app --workers 4."""
    command = list(context.args)
    if not command:
        raise SettingError("there is no command to run; write it after two dashes: pitstop run -- uvicorn shop:app")
    from pitstop.instrument.run import run as recorded  # noqa: PLC0415  heavy

    recorded(command, service=service, store=store)
