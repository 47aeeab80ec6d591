"""``pitstop export grafana``: dashboards as files, to import or to provision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pitstop.model.errors import SettingError


def grafana(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the files into.")] = Path("grafana"),
) -> None:
    """Dashboards for Grafana over Prometheus, one file each."""
    from pitstop.dashboard.export.grafana import dashboards  # noqa: PLC0415

    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, dashboard in dashboards().items():
            path = output / f"{name}.json"
            path.write_text(json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            typer.echo(path)
    except OSError as error:
        raise SettingError(f"'{output}' cannot be written ({error.strerror}); choose another --output") from error
