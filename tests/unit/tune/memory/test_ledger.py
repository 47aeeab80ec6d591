"""What a look at malloc's books sets in the interpreter is gone with it, in the children of forks, too."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import Any

import pytest

from pitstop.tune.memory.ledger import Ledger, _Reach


def state() -> tuple[Any, ...]:
    """What a look changes: of the collector, of this thread, of those that begin."""
    return gc.get_threshold(), len(gc.callbacks), sys.getprofile(), threading.getprofile()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_that_is_forked_during_a_look_has_nothing_of_it() -> None:
    before = state()
    ledger = Ledger(lambda: 0, most_s=60.0)
    with _Reach(ledger, "profile", ledger.profiled):
        gc.collect()  # which reaches this thread
        during = state()
        pid = os.fork()
        if not pid:
            signal.alarm(10)
            try:
                os._exit(0 if state() == before else 1)
            finally:
                os._exit(2)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        still = state()
        ledger.done = True
    assert code == 0
    assert during == still
    assert during[2:] == (ledger.profiled, ledger.profiled)
    assert state() == before
