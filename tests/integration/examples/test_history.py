"""The demo's past is written as workers write, can be asked like any other, and says that it is made up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pitstop.app import open_store
from pitstop.model import Match, Window
from pitstop.rollup.codec import decode
from pitstop.rollup.histogram import merged, quantile_ns
from shop.history import DEPLOY_BEFORE_END_S, INCIDENT, ROLLBACK_BEFORE_END_S, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pitstop.model import Store


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, int, int]]:
    """A store, when its past ends, and how many requests that holds."""
    folder: Path = tmp_path_factory.mktemp("past")
    store = open_store(f"sqlite:///{folder / 'pitstop.db'}")
    end_s = int(time.time())
    requests = write(store, end_s, hours=4, days=1)
    yield store, end_s, requests
    store.close()


def test_everything_that_was_made_up_is_in_the_store(past: tuple[Store, int, int]) -> None:
    store, end_s, requests = past

    rows = store.rollups(Window(0, end_s + 60), Match(service="shop", kind="http"))

    assert sum(rows.count) == requests > 100_000
    assert sum(merged(map(decode, rows.hist)).values()) == requests


def test_the_incident_can_be_seen_between_deploy_and_rollback(past: tuple[Store, int, int]) -> None:
    store, end_s, _ = past

    def p95_ns(start_s: int, until_s: int) -> float:
        rows = store.rollups(Window(start_s, until_s), Match(name=INCIDENT))
        value = quantile_ns(merged(map(decode, rows.hist)), 0.95)
        assert value is not None
        return value

    deploy_s, rollback_s = end_s - DEPLOY_BEFORE_END_S, end_s - ROLLBACK_BEFORE_END_S
    before, during, after = (
        p95_ns(deploy_s - 3600, deploy_s - 60),
        p95_ns(deploy_s + 60, rollback_s - 60),
        p95_ns(rollback_s + 60, end_s),
    )
    assert during > 5 * before
    assert after < 1.5 * before


def test_every_event_of_it_says_that_it_is_generated(past: tuple[Store, int, int]) -> None:
    store, end_s, _ = past

    events = store.events(Window(0, end_s + 60))

    assert len(events) == 4
    assert all("enerated" in text for text in events.text)
    assert max(events.ts) == end_s
