"""The watcher that commands ask: over the store and its ledger themselves, no server has to run."""

from __future__ import annotations

import getpass
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pitstop.cli.options import must_be_there, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model.watching import Watch


@contextmanager
def watched(url: str | None, *, readonly: bool = True) -> Iterator[Watch]:
    """Whoever watches the store at `url`, closed at the end; it answers and takes changes, and evaluates nothing.

    Raises SettingError, or StoreError when there is no store: asking makes neither one nor a ledger.
    """
    from pitstop.app import load_settings  # noqa: PLC0415  heavy
    from pitstop.cli.watching import watcher  # noqa: PLC0415  heavy

    with opened(url) as kept:
        must_be_there(kept)
    with opened(url, readonly=readonly) as kept:
        watch = watcher(kept, load_settings(), readonly=readonly)
        try:
            yield watch
        finally:
            watch.stop()
            watch.ledger.close()


def myself() -> str:
    """Who types this: the author of what it changes."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return "pitstop"
