"""``pitstop serve``: dashboard, API and housekeeping."""

from __future__ import annotations

from typing import Annotated

import typer

from pitstop.cli.options import StoreUrl, store_url

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9200


def serve(
    store: StoreUrl = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = DEFAULT_PORT,
) -> None:
    """Dashboard, JSON API and housekeeping; prints the address, and once the generated password."""
    from pitstop.dashboard.serve import run  # noqa: PLC0415  heavy

    run(store_url(store), host, port)
