"""Every run from sync and from async code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.waves import Task, Waves, WavesResult


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[..., WavesResult]:
    """Runs tasks by waves, from code of one colour."""

    def either(waves: Waves, tasks: list[Task], **more: Any) -> WavesResult:
        return waves.run(tasks, **more) if request.param == "sync" else asyncio.run(waves.arun(tasks, **more))

    return either
