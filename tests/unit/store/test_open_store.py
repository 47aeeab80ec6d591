"""A store by its URL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pitstop
from pitstop.model import SettingError
from pitstop.store import open_store
from pitstop.store.memory import MemoryStore
from pitstop.store.sqlite import SqliteStore


def test_three_slashes_are_relative_and_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative, absolute = open_store("sqlite:///a.db"), open_store(f"sqlite:///{tmp_path}/b.db", readonly=True)
    assert isinstance(relative, SqliteStore)
    assert isinstance(absolute, SqliteStore)
    assert (relative.path, relative.readonly) == (str(tmp_path / "a.db"), False)
    assert (absolute.path, absolute.readonly) == (str(tmp_path / "b.db"), True)
    assert list(tmp_path.iterdir()) == []


def test_a_memory_store_is_one_by_its_name_until_it_is_closed() -> None:
    first = open_store("memory://one")
    assert isinstance(first, MemoryStore)
    assert open_store("memory://one") is first
    assert open_store("memory://two") is not first
    first.close()
    assert open_store("memory://one") is not first


@pytest.mark.parametrize("url", ["", "pitstop.db", "sqlite://", "sqlite:///", "sqlite://p.db", "postgres://x/y"])
def test_other_urls_are_refused_with_the_ones_we_have(url: str) -> None:
    with pytest.raises(SettingError, match=r"sqlite:///path/to/file.db or memory://name"):
        open_store(url)


def test_a_stores_code_is_loaded_when_it_is_chosen() -> None:
    program = (
        "import sys, pitstop.store; assert not [m for m in sys.modules if m.startswith(('sqlite3', 'pitstop.store.'))];"
        "pitstop.store.open_store('sqlite:///x.db'); assert 'numpy' not in sys.modules"
    )
    source = str(Path(pitstop.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-S", "-c", program], env={"PYTHONPATH": source}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
