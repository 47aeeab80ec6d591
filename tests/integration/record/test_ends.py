"""A process that imported nothing else ends as it would have without us."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, time
import pitstop
pitstop.init(store=sys.argv[1])
with pitstop.span("work"):
    pass

{more}
pitstop.flush()
sys.exit(7)
"""


@pytest.mark.parametrize("store", ["memory://ends", "sqlite:///ends.db"])
@pytest.mark.parametrize(
    "more", ["", "from pitstop.tune.memory import tune_memory; tune_memory()"], ids=["recorded", "memory tuned"]
)
def test_a_script_that_never_imported_threading_ends_with_its_own_code(tmp_path: object, store: str, more: str) -> None:
    script = SCRIPT.format(more=more)
    ended = subprocess.run(
        [sys.executable, "-c", script, store], cwd=str(tmp_path), check=False, capture_output=True, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (7, b"")
