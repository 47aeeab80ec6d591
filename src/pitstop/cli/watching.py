"""Whoever watches a store, as the settings have it: for `pitstop serve`, and for commands that ask or change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pitstop.model import Store
    from pitstop.model.settings import Settings
    from pitstop.watch.watcher import Watcher


def watcher(store: Store, settings: Settings, *, readonly: bool = False) -> Watcher:
    """The watcher of `store`, not started. Its ledger is beside the store. Raises StoreError.

    `readonly`: where there is no ledger yet, none is made; nobody has watched, so there is nothing in it.
    """
    from pitstop.store import beside  # noqa: PLC0415  heavy
    from pitstop.watch.ledger import Ledger  # noqa: PLC0415
    from pitstop.watch.watcher import Watcher  # noqa: PLC0415

    path = beside(store.url, "watch")
    return Watcher(
        store,
        Ledger(None if readonly and path is not None and not path.exists() else path),
        rules_path=Path(settings.text("rules")),
        public_url=settings.text("public_url"),
        egress_allow=settings.words("egress_allow"),
        secret_key=settings.text("secret_key"),
    )
