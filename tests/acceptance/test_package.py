"""The built wheel records with the standard library alone."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from pitstop.app import open_store
from pitstop.model import Match, Window

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLEAN = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}  # no PYTHONPATH that could lend a package


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=CLEAN, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_bare_python_with_the_wheel_alone_records_wsgi_and_asgi_to_sqlite(tmp_path: Path) -> None:
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("pitstop-*.whl")
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    _run(sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", "--no-index", wheel)

    url = f"sqlite:///{tmp_path / 'pitstop.db'}"
    imported = _run(python, HERE / "apps" / "bare.py", url)

    assert imported == "", "third-party modules were imported"
    store = open_store(url, readonly=True)
    rows = store.rollups(Window(0, 2**33), Match(kind="http"), hist=False)
    store.close()
    counts: dict[tuple[str, str, str], int] = {}
    for series, count in zip(rows.series, rows.count, strict=True):
        key = (series.service, series.name.partition(" ")[0], series.outcome)
        counts[key] = counts.get(key, 0) + count
    assert sum(counts.values()) == 75
    assert sorted(outcome for _, _, outcome in counts) == ["200", "201", "404"]
    assert set(counts.values()) == {25}
