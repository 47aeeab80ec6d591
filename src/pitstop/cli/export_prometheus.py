"""``pitstop export prometheus``: what ``/metrics`` answers, once, on standard output or into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import Annotated

import typer

from pitstop.cli.options import StoreUrl, must_be_there, opened, written


class TextForm(StrEnum):
    """Which text."""

    TEXT = "text"
    OPENMETRICS = "openmetrics"


def prometheus(
    *,
    store: StoreUrl = None,
    form: Annotated[TextForm, typer.Option("--form", help="Text format 0.0.4, or OpenMetrics 1.0.")] = TextForm.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default standard output.")
    ] = None,
) -> None:
    """The same text as the dashboard's /metrics. Of objectives and alerts only `pitstop serve` knows."""
    from pitstop.dashboard.export import Exposition  # noqa: PLC0415  numpy
    from pitstop.dashboard.export.text import OPENMETRICS_TYPE, TEXT_TYPE  # noqa: PLC0415
    from pitstop.model import SystemClock  # noqa: PLC0415

    with opened(store) as kept:
        must_be_there(kept)  # before a file is made
        exposition = Exposition(kept, SystemClock(), writable=False)
        body = exposition.body(OPENMETRICS_TYPE if form is TextForm.OPENMETRICS else TEXT_TYPE)
        with written(output) as file:
            file.write(body.decode())
