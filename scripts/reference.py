"""Write docs/settings.md and docs/commands.md from the table of settings and the command line itself.

    python scripts/reference.py

A test fails when the files differ from what this would write.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from pitstop.cli.commands import app
from pitstop.model.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.settings import Setting

DOCS = Path(__file__).resolve().parent.parent / "docs"

SETTINGS_HEAD = """\
# Settings

Each has an argument of `pitstop.init`, an environment variable, and a name in `pitstop.toml` (in the table `[pitstop]`
or at the top). The first of these that is there counts; then comes the default. An unknown name or an impossible value
is an error that says so: `pitstop run` then runs the program unrecorded, `pitstop.init` raises `SettingError`.

```toml
# pitstop.toml, in the folder the service runs in
[pitstop]
service = "shop"
sample_rate = 0.5
exclude = ["/static/", "/healthz"]
```

`pitstop doctor` shows the values in force and where each came from.

| Setting | Environment | Default | Range | Meaning |
|---|---|---|---|---|
"""

COMMANDS_HEAD = """\
# Commands

Times: `--last 90s`, `15m`, `1h`, `7d`; or `--from` and `--to` as ISO 8601 (UTC where no zone is given) or Unix seconds.
`--json` prints what [json.md](json.md) describes.
Exit codes: 0 fine, 1 a finding or failed threshold, 2 could not do it.
"""


def settings_page() -> str:
    """docs/settings.md as it should be."""
    return SETTINGS_HEAD + "".join(_setting_row(setting) for setting in SETTINGS)


def _setting_row(setting: Setting) -> str:
    default = ", ".join(setting.default) if isinstance(setting.default, tuple) else str(setting.default)
    if isinstance(setting.default, bool):
        default = "yes" if setting.default else "no"
    limits = "" if setting.low is None else f"{_number(setting.low)} … {_number(setting.high or 0)}"
    cells = (f"`{setting.name}`", f"`{setting.environment}`", f"`{default}`" if default else "", limits, setting.help)
    return "| " + " | ".join(cells) + " |\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def commands_page() -> str:
    """docs/commands.md as it should be."""
    return COMMANDS_HEAD + "".join(_section(name, command) for name, command in _commands(get_command(app), "pitstop"))


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        if not hasattr(inner, "commands"):
            yield f"{path} {name}", inner
        yield from _commands(inner, f"{path} {name}")


def _section(name: str, command: Any) -> str:
    text = " ".join(command.help.split())
    rows = "".join(_option_row(option) for option in command.params if option.name != "help")
    table = f"\n| Option | Meaning |\n|---|---|\n{rows}" if rows else ""
    return f"\n## {name}\n\n{text}\n{table}"


def _option_row(option: Any) -> str:
    if option.param_type_name == "argument":
        names = f"`{option.name.upper()}`"
    else:
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    metavar = "" if not option.metavar or option.param_type_name == "argument" else f" `{option.metavar}`"
    default = f" Default {option.default}." if option.default and isinstance(option.default, (int, str)) else ""
    meaning = (option.help or "").replace("|", "\\|")
    return f"| {names}{metavar} | {meaning}{default} |\n"


PAGES = {"settings.md": settings_page, "commands.md": commands_page}


def main() -> int:
    """Write both."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
