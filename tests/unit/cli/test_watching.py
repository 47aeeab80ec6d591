"""Commands that only ask leave nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pitstop.app import load_settings
from pitstop.cli.watching import watcher
from pitstop.store import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("readonly", [True, False])
def test_who_only_asks_makes_no_ledger(*, readonly: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(f"sqlite:///{tmp_path}/pitstop.db")
    watch = watcher(store, load_settings(), readonly=readonly)
    rules = watch.rules()
    watch.stop()
    watch.ledger.close()
    store.close()

    assert len(rules) == 9
    assert (tmp_path / "pitstop.watch.db").exists() is not readonly
    assert (tmp_path / "pitstop.watch.key").exists() is not readonly
