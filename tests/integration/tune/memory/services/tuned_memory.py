"""A WSGI service that looks after its memory from before its workers are forked."""

from __future__ import annotations

import os
from typing import Any

from pitstop.tune.memory import tune_memory

tune_memory()


def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Which worker answers."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
