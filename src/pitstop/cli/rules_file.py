"""A file of rules cut into its entries, each as TOML of its own."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = re.compile(r"^[ \t]*\[\[?[ \t]*(\w+)[ \t]*\]?\]", re.MULTILINE)
RULE = "rule"


def rules_of(path: Path) -> list[str]:
    """Every ``[[rule]]`` of the file. Raises SettingError when it cannot be read, is no TOML, or has none."""
    try:
        text = path.read_text("utf-8")
        found = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingError(f"{path} is no TOML: {error}") from error
    entries = found.get(RULE)
    if not isinstance(entries, list) or not entries:
        raise SettingError(f"{path} has no [[rule]]; there are {', '.join(found) or 'no tables'} in it")
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [text[head.start() : end] for head, end in zip(heads, ends, strict=True) if head[1] == RULE]
