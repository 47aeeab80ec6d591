"""Answers in a level that processes share: one keeps, the other serves, and what one voids is void for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.web import CachingMiddleware, WSGICachingMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["asgi", "wsgi"])
def two(request: pytest.FixtureRequest, kit: Any, host: Any, clock: Any, tmp_path: Path) -> Iterator[list[Any]]:
    """Two sites of one host, as two processes are; memory keeps nothing, so that the level is asked each time."""
    sites = []
    for _ in range(2):
        site = kit.Site(request.param, host, clock)
        site.cache = Cache(file=tmp_path / "answers.db", secret="x" * 16, max_entries=0)
        wrap = CachingMiddleware if request.param == "asgi" else WSGICachingMiddleware
        site.app = wrap(getattr(host, request.param), site.cache)
        sites.append(site)
    yield sites
    for site in sites:
        site.cache.close()


def test_an_answer_of_one_is_served_by_the_other(two: list[Any]) -> None:
    one, other = two
    one.host.says(("cache-control", "max-age=60"), ("vary", "accept-language"), ("x-bytes", "\xff"))
    first = one.get(accept_language="de")
    second = other.get(accept_language="de")
    assert (second.body, second.headers["x-bytes"]) == (first.body, "\xff")
    assert "hit" in second.headers["cache-status"]
    assert other.get(accept_language="fr").body == b"2"
    assert one.get(accept_language="fr").body == b"2"
    assert one.get(accept_language="fr", if_none_match=second.headers["etag"]).status == 200


@pytest.mark.parametrize("how", ["change", "tag"])
def test_what_one_voids_is_void_for_both(two: list[Any], how: str) -> None:
    one, other = two
    one.host.marks = {"ttl_s": 60, "tags": ["items"]}
    assert one.get().body == other.get().body == b"1"
    if how == "change":
        other.get(method="PUT")
    else:
        other.cache.invalidate("items")
    answer = one.get()
    assert answer.body != b"1"
    assert other.get().body == answer.body


def test_what_is_voided_elsewhere_while_it_is_made_is_not_kept(two: list[Any]) -> None:
    one, other = two

    def answer(_: Any) -> Any:
        if one.host.calls == 1:
            other.cache.invalidate("path:/")
        return 200, [("cache-control", "max-age=60")], [b"%d" % one.host.calls]

    one.host.answer = answer
    assert [one.get().body, other.get().body, one.get().body] == [b"1", b"2", b"2"]
