"""Pushes of tags that are news, and those that are not."""

from __future__ import annotations

import pytest

from pitstop.tune.cache.redis.tags import SeenTags
from pitstop.tune.cache.redis.wire import ReplyError, WireError


class Told:
    def __init__(self, most: int = 100) -> None:
        self.gone: list[str] = []
        self.verify: list[str] = []
        self.seen = SeenTags(self.gone.append, self.verify.extend, most=most)

    def learn(self, **versions: int) -> None:
        with self.seen.learning(list(versions)) as learn:
            learn([str(version).encode() for version in versions.values()])


def test_a_tag_that_was_never_seen_is_news_when_it_is_pushed() -> None:
    assert Told().seen.pushed("a") is False


def test_a_tag_that_was_seen_has_to_be_compared() -> None:
    told = Told()
    told.learn(a=5)
    assert told.seen.pushed("a") is True
    assert told.seen.version("a") == 5
    assert told.gone == []


def test_a_newer_version_is_news_however_it_is_learnt() -> None:
    told = Told()
    told.learn(a=5, b=1)
    told.learn(a=6, b=1)
    assert told.gone == ["a"]


def test_a_push_that_comes_while_a_tag_is_read_is_verified_after_it() -> None:
    told = Told()
    with told.seen.learning(["a"]) as outer:
        with told.seen.learning(["a"]) as inner:
            assert told.seen.pushed("a") is None
            inner([b"1"])
        assert told.verify == [], "somebody still reads it"
        outer([b"1"])
    assert told.verify == ["a"]
    told.learn(a=1)
    assert told.verify == ["a"]


def test_a_failure_leaves_what_was_known() -> None:
    told = Told()
    told.learn(a=5)
    with pytest.raises(WireError), told.seen.learning(["a"]) as learn:
        learn([ReplyError("ERR value is not an integer")])
    assert told.seen.version("a") == 5
    assert told.seen.pushed("a") is True


def test_tags_beyond_the_limit_are_void_rather_than_unnoticed() -> None:
    told = Told(most=2)
    told.learn(a=1)
    told.learn(b=1)
    told.learn(c=1)
    assert told.gone == ["a"]
    assert told.seen.pushed("a") is False
