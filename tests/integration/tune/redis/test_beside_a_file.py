"""Redis for all machines, and a file on each: what one machine changes does not come back from another's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.redis import RedisLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Server


@pytest.fixture
def machines(server: Server, tmp_path: Path) -> Iterator[list[Cache]]:
    """Two of them; without memory, so that each lookup asks the levels."""
    found = [Cache(redis=RedisLevel(server.url), file=tmp_path / f"{name}.db", max_entries=0) for name in "ab"]
    yield found
    for cache in found:
        cache.close()


@pytest.mark.parametrize("change", ["tag", "key", "everything"])
def test_what_one_machine_voids_or_deletes_stays_so_on_the_other(machines: list[Cache], change: str) -> None:
    here, there = machines
    voids: dict[str, Callable[[], Any]] = {
        "tag": lambda: there.invalidate("t"),
        "key": lambda: there.delete("k"),
        "everything": lambda: there.invalidate(everything=True),
    }
    assert here.get_or_set("k", lambda: "old", tags=["t"]) == "old"
    assert there.get("k") == "old"
    voids[change]()
    assert here.get("k") is None
    assert here.get_or_set("k", lambda: "new", tags=["t"]) == "new"


def test_the_file_serves_while_redis_is_gone(machines: list[Cache], server: Server) -> None:
    here, _ = machines
    assert here.get_or_set("k", lambda: "v") == "v"
    server.kill()
    assert here.get("k") == "v"
