"""``pitstop serve``: dashboard, API, alerts and housekeeping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli.options import StoreUrl, store_url

if TYPE_CHECKING:
    from pitstop.model.settings import Settings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9200
DAY_S = 86_400


def serve(
    *,
    store: StoreUrl = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = DEFAULT_PORT,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", metavar="NAME", help="Answer to this host name, too.")
    ] = None,
    root_path: Annotated[str, typer.Option("--root-path", help="Path that a proxy in front takes away.")] = "",
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Make a new password, print it, end all sessions.")
    ] = False,
    new_token: Annotated[
        str | None, typer.Option("--new-token", metavar="NAME", help="Make an API token of that name and print it.")
    ] = None,
) -> None:
    """Dashboard, JSON API, alerts and housekeeping; prints its address, and a generated password once."""
    from pitstop.app import load_settings  # noqa: PLC0415  heavy
    from pitstop.cli.watching import watcher  # noqa: PLC0415  heavy
    from pitstop.dashboard.serve import run  # noqa: PLC0415  heavy

    settings = load_settings()
    run(
        store_url(store),
        host,
        port,
        hosts=allow_host or (),
        root_path=root_path,
        new_password=new_password,
        new_token=new_token,
        retention_s=int(settings.number("retention_days")) * DAY_S,
        watching=lambda opened: watcher(opened, settings),
        remote_write=_remote_write(settings),
    )


def _remote_write(settings: Settings) -> tuple[str, dict[str, str]] | None:
    url = settings.text("remote_write_url")
    if not url:
        return None
    from pitstop.rollup.otlp.exporter import parse_headers  # noqa: PLC0415  only where it was asked for

    return url, parse_headers(settings.words("remote_write_headers"), "remote_write_headers")
