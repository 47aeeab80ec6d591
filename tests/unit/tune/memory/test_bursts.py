"""A burst of tracing ends with it, in the children of forks, too."""

from __future__ import annotations

import os
import signal
import tracemalloc

import pytest

from pitstop.model.errors import PitstopError
from pitstop.tune.memory.bursts import grown_by_line


def traced_in_child() -> bool:
    """Whether the child of a fork is traced now."""
    pid = os.fork()
    if not pid:
        signal.alarm(10)
        try:
            os._exit(1 if tracemalloc.is_tracing() else 0)
        finally:
            os._exit(2)
    return {0: False, 1: True}[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_that_is_forked_during_a_burst_is_not_traced_and_the_parent_is_to_the_end() -> None:
    traced: list[tuple[bool, bool]] = []
    grown_by_line(0.01, wait=lambda _s: traced.append((traced_in_child(), tracemalloc.is_tracing())))
    assert traced == [(False, True), (False, True)]
    assert not tracemalloc.is_tracing()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_host_that_traces_by_itself_stays_traced() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PitstopError, match="tracemalloc is on already"):
            grown_by_line(0.01)
        assert traced_in_child()
    finally:
        tracemalloc.stop()
