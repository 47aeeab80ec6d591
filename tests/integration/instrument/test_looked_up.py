"""Whoever only asks whether pitstop is installed does not end the recording before it has begun."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import importlib.util
assert importlib.util.find_spec("pitstop")
{before}
from pitstop.record import RECORDER
print(RECORDER.on)
"""


@pytest.mark.parametrize("before", ["import flask", "import pitstop", "pass"])
def test_a_program_that_looks_pitstop_up_is_still_recorded(before: str) -> None:
    command = [sys.executable, "-m", "pitstop", "run", "--", sys.executable, "-c", PROGRAM.format(before=before)]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "True\n"
