"""``pitstop export prometheus-rules``: the rules and objectives that are watched, as alert rules for Prometheus."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import Annotated

import typer

from pitstop.cli.options import StoreUrl, must_be_there, opened, written


def prometheus_rules(
    *,
    store: StoreUrl = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default standard output.")
    ] = None,
) -> None:
    """Alert rules for Prometheus, of the rules file, what was saved in the dashboard, and the usual ones."""
    from pitstop.app import load_settings  # noqa: PLC0415  heavy
    from pitstop.cli.watching import watcher  # noqa: PLC0415  heavy
    from pitstop.watch import prometheus_rules as made  # noqa: PLC0415  heavy

    with opened(store) as kept:
        must_be_there(kept)
        watch = watcher(kept, load_settings())
        text = made.prometheus_rules(watch.enabled_rules(), watch.objectives())
        with written(output) as file:
            file.write(text)
