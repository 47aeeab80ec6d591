"""Where measurements are kept. `open_store` chooses by the URL's scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path

    from pitstop.model.protocols import Store

SCHEMES = ("sqlite:///path/to/file.db", "memory://name")


def beside(store_url: str, suffix: str) -> Path | None:
    """The file of that suffix next to the store's: ``pitstop.auth.db`` for ``auth``; None where there is none."""
    scheme, _, path = store_url.partition("://")
    if scheme != "sqlite" or not path.strip("/"):
        return None
    from pathlib import Path  # noqa: PLC0415  hosts that record need none

    return Path(path[1:]).with_suffix(f".{suffix}.db")


def open_store(url: str, *, readonly: bool = False) -> Store:
    """The store that `url` names: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``memory://name``.

    Files are touched at the first use, so that a store which is unavailable now may recover later. `readonly` never
    creates, migrates or renames anything. Raises SettingError for a scheme nobody serves.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and rest.startswith("/") and rest[1:]:
        from pitstop.store.sqlite import SqliteStore  # noqa: PLC0415  a store's code is loaded when it is chosen

        return SqliteStore(rest[1:], readonly=readonly)
    if separator and scheme == "memory":
        from pitstop.store.memory import named  # noqa: PLC0415

        return named(rest)
    raise SettingError(f"the store '{url}' names no store we have: write {' or '.join(SCHEMES)}")
