"""HTTP caching, rule by rule of RFC 9111 (section numbers in the tables), through both middlewares."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.cache.web.directives import parse

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = "Sat, 21 Nov 2026 20:00:00 GMT"
LATER = "Sat, 21 Nov 2026 21:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([], False),  # 4.2.2: no heuristics
        ([("cache-control", "max-age=60")], True),  # 5.2.2.1
        ([("Cache-Control", "MAX-AGE=60")], True),
        ([("cache-control", 'max-age="60"')], True),  # 5.2: both forms are understood
        ([("cache-control", "max-age=0")], False),
        ([("cache-control", "max-age=-1")], False),
        ([("cache-control", "max-age=1.5")], False),  # 4.2.1: invalid is stale
        ([("cache-control", "max-age=60, max-age=0")], False),  # 4.2.1: the stricter of two
        ([("cache-control", "max-age=60"), ("Cache-Control", "no-store")], False),
        ([("cache-control", "max-age=60, no-store")], False),  # 5.2.2.5
        ([("cache-control", "max-age=60, private")], False),  # 5.2.2.7
        ([("cache-control", 'max-age=60, private="x-user"')], False),
        ([("cache-control", "max-age=60, no-cache")], False),  # 5.2.2.4
        ([("cache-control", "s-maxage=60")], True),  # 5.2.2.10
        ([("cache-control", "max-age=60, s-maxage=0")], False),
        ([("cache-control", "max-age=0, s-maxage=60")], True),
        ([("cache-control", "public")], False),
        ([("cache-control", "max-age=60, must-revalidate")], True),
        ([("cache-control", "max-age=60, must-understand")], True),
        ([("cache-control", 'max-age=60, x="no-store"')], True),
        ([("cache-control", 'max-age=60, "')], False),  # what cannot be read may have been no-store
        ([("cache-control", ",, max-age=60 ,")], True),
        ([("expires", LATER), ("date", HOUR)], True),  # 5.3
        ([("expires", HOUR), ("date", LATER)], False),
        ([("expires", "0"), ("date", HOUR)], False),
        ([("expires", LATER), ("date", HOUR), ("cache-control", "max-age=0")], False),
        ([("cache-control", "max-age=60"), ("expires", "0")], True),
        ([("cache-control", "max-age=60"), ("age", "59")], True),  # 4.2.3
        ([("cache-control", "max-age=60"), ("age", "60")], False),
        ([("cache-control", "max-age=60"), ("vary", "*")], False),  # 4.1
        ([("cache-control", "max-age=60"), ("vary", "accept, *")], False),
        ([("cache-control", "max-age=60"), ("vary", "accept")], True),
        ([("cache-control", "max-age=60"), ("set-cookie", "a=b")], False),
        ([("cache-control", "public, max-age=60"), ("Set-Cookie", "a=b")], False),
        ([("cache-control", "max-age=60"), ("content-range", "bytes 0-1/2")], False),  # 3.3
    ],
)
def test_an_answer_is_kept_only_if_it_says_so(site: Any, headers: list[tuple[str, str]], *, kept: bool) -> None:
    site.host.says(*headers)
    first, second = site.get(), site.get()
    assert (second.body == first.body) == kept
    assert site.host.calls == (1 if kept else 2)
    if kept:
        assert second.headers["age"] == dict(headers).get("age", "0")
        assert second.headers["cache-status"].startswith("pitstop; hit")
    else:
        assert "cache-status" not in second.headers


@pytest.mark.parametrize(
    ("status", "kept"),
    [(200, True), (201, False), (204, True), (206, False), (301, True), (302, True), (404, True), (410, True),
     (400, False), (401, False), (418, False), (500, False), (503, False)],
)  # fmt: skip
def test_only_final_statuses_that_are_understood_are_kept(site: Any, status: int, *, kept: bool) -> None:
    site.host.says(("cache-control", "max-age=60"), status=status)
    site.get()
    assert site.get().status == status
    assert site.host.calls == (1 if kept else 2)


@pytest.mark.parametrize(
    ("request_headers", "control", "kept"),
    [
        ({"authorization": "Bearer a"}, "max-age=60", False),  # 3.5
        ({"authorization": "Bearer a"}, "max-age=60, public", True),
        ({"authorization": "Bearer a"}, "s-maxage=60", True),
        ({"cookie": "session=a"}, "max-age=60", False),
        ({"cookie": "session=a"}, "public, max-age=60", True),
        ({"x_api_key": "a"}, "max-age=60", False),
        ({"cache_control": "no-store"}, "public, max-age=60", False),  # 5.2.1.5
        ({"range": "bytes=0-1"}, "public, max-age=60", False),
        ({"if_match": '"a"'}, "public, max-age=60", False),
        ({"content_length": "3"}, "public, max-age=60", False),
    ],
)
def test_what_says_who_asks_or_asks_for_a_part_is_kept_only_if_it_may_be(
    site: Any, request_headers: dict[str, str], control: str, *, kept: bool
) -> None:
    site.host.says(("cache-control", control))
    site.get(**request_headers)
    site.get(**request_headers)
    assert site.host.calls == (1 if kept else 2)


def test_who_asks_with_credentials_is_not_served_what_anonymous_ones_got(site: Any) -> None:
    assert site.get().body == b"1"
    assert site.get(cookie="session=a").body == b"2"
    assert site.get(authorization="Basic eA==").body == b"3"
    assert site.get().body == b"1"


def test_cookies_that_answers_do_not_depend_on_can_be_named(make_site: Any) -> None:
    site = make_site(ignored_cookies=["_ga"], who_headers=["X-Customer"])
    assert site.get(cookie="_ga=1").body == site.get(cookie="_ga=2").body == b"1"
    assert site.get(cookie="_ga=1; session=a").body == b"2"
    assert site.get(x_customer="7").body == b"3"


@pytest.mark.parametrize(
    ("request_headers", "fresh"),
    [
        ({}, True),
        ({"cache_control": "max-age=30"}, True),  # 5.2.1.1
        ({"cache_control": "max-age=29"}, False),
        ({"cache_control": "max-age=0"}, False),
        ({"cache_control": "no-cache"}, False),  # 5.2.1.4
        ({"pragma": "no-cache"}, False),  # 5.4
        ({"pragma": "no-cache", "cache_control": "max-age=50"}, True),
        ({"cache_control": "min-fresh=30"}, True),  # 5.2.1.3
        ({"cache_control": "min-fresh=31"}, False),
        ({"cache_control": "max-stale"}, True),
    ],
)
def test_clients_may_ask_for_newer_answers(site: Any, request_headers: dict[str, str], *, fresh: bool) -> None:
    site.get()
    site.clock.at_s += 30
    assert site.get(**request_headers).body == (b"1" if fresh else b"2")


@pytest.mark.parametrize(
    ("control", "wish", "served"),
    [
        ("max-age=60", "max-stale=20", True),  # 5.2.1.2
        ("max-age=60", "max-stale=9", False),
        ("max-age=60", "max-stale", True),
        ("max-age=60, must-revalidate", "max-stale", False),  # 5.2.2.2
        ("max-age=60, proxy-revalidate", "max-stale", False),  # 5.2.2.8
        ("s-maxage=60", "max-stale", False),
    ],
)
def test_a_stale_answer_is_served_only_to_who_takes_it(site: Any, control: str, wish: str, *, served: bool) -> None:
    site.host.says(("cache-control", control))
    site.get()
    site.clock.at_s += 70
    assert site.get(cache_control=wish).body == (b"1" if served else b"2")


def test_clients_wishes_can_be_left_unheard(make_site: Any) -> None:
    site = make_site(obey_clients=False)
    site.get()
    assert site.get(cache_control="no-cache").body == b"1"


def test_only_if_cached_is_answered_by_what_is_there(site: Any) -> None:
    assert site.get(cache_control="only-if-cached").status == 504  # 5.2.1.7
    assert site.host.calls == 0
    site.get()
    assert site.get(cache_control="only-if-cached").body == b"1"


def test_age_grows_and_freshness_ends(site: Any) -> None:
    site.host.says(("cache-control", "max-age=60"), ("age", "10"))
    site.get()
    site.clock.at_s += 49
    answer = site.get()
    assert (answer.headers["age"], answer.headers["cache-status"]) == ("59", "pitstop; hit; ttl=1")
    site.clock.at_s += 1
    assert site.get().body == b"2"


def test_head_is_answered_from_what_get_left_and_leaves_nothing_itself(site: Any) -> None:
    site.get(method="HEAD")
    assert site.get().body == b"2"
    answer = site.get(method="HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "1")
    assert site.host.calls == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_a_change_voids_what_is_kept_of_its_path(site: Any, method: str) -> None:
    assert site.get("/a?x=1").body == b"1"
    assert site.get("/b").body == b"2"
    site.host.says(status=500)
    site.get("/a", method)
    assert site.get("/a?x=1").body == b"1"  # it failed: nothing has changed
    site.host.says(("cache-control", "max-age=60"), status=201)
    site.get("/a", method)
    assert site.get("/b").body == b"2"
    assert site.get("/a?x=1").body == b"5"  # 4.4


def test_variants_are_told_apart(site: Any) -> None:
    site.host.says(("cache-control", "max-age=60"), ("vary", "Accept-Language, Accept-Encoding"))
    assert site.get(accept_language="de", accept_encoding="gzip, br").body == b"1"
    assert site.get(accept_language="fr", accept_encoding="gzip, br").body == b"2"
    assert site.get(accept_language="de").body == b"3"
    assert site.get(accept_language="de", accept_encoding="br,gzip").body == b"1"  # 4.1: normalized
    assert site.get(accept_language="fr", accept_encoding="gzip, br").body == b"2"
    assert site.get(accept_language="de").body == b"3"
    site.get("/", "POST")
    assert site.get(accept_language="de").body == b"5"
    assert site.get(accept_language="fr", accept_encoding="gzip, br").body == b"6"


def test_answers_of_one_path_may_vary_in_several_ways(site: Any) -> None:
    site.host.answer = lambda h: (
        200, [("cache-control", "max-age=60"), ("vary", "accept" if h.get("accept") == "text/html" else "x-beta")],
        [b"%d" % site.host.calls],
    )  # fmt: skip
    assert site.get(accept="text/html").body == b"1"
    assert site.get(accept="text/plain", x_beta="1").body == b"2"
    assert site.get(accept="text/html").body == b"1"
    assert site.get(accept="text/plain", x_beta="1").body == b"2"
    assert site.get(accept="text/plain", x_beta="2").body == b"3"


@pytest.mark.parametrize(
    "different",
    [{"host": "other"}, {"x_forwarded_host": "evil"}, {"x_forwarded_proto": "https"}, {"x_original_url": "/admin"},
     {"forwarded": "host=evil"}, {"x_http_method_override": "DELETE"}],
)  # fmt: skip
def test_headers_that_applications_look_at_unasked_poison_nothing(site: Any, different: dict[str, str]) -> None:
    assert site.get(**different).body == b"1"
    assert site.get().body == b"2"
    assert site.get(**different).body == b"1"


def test_hosts_are_told_apart_without_regard_to_case_and_queries_with(site: Any) -> None:
    assert site.get("/?a=1", host="Shop").body == site.get("/?a=1").body == b"1"
    assert site.get("/?A=1").body == b"2"
    assert site.get("/").body == b"3"


def test_tenants_never_share(make_site: Any) -> None:
    site = make_site(tenant=lambda headers: headers.get(b"x-tenant", b"").decode())
    site.host.says(("cache-control", "public, max-age=60"))
    assert site.get(x_tenant="a").body == b"1"
    assert site.get(x_tenant="b").body == b"2"
    assert site.get(x_tenant="a").body == b"1"
    assert site.get().body == b"3"
    assert site.get().body == b"4"  # nobody's is not kept
    site.cache.invalidate(tenant="a")
    assert site.get(x_tenant="a").body == b"5"
    assert site.get(x_tenant="b").body == b"2"


def test_the_client_gets_a_304_when_its_copy_is_good(site: Any) -> None:
    first = site.get()
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    again = site.get(if_none_match=etag)
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == etag
    assert "content-length" not in again.headers
    assert site.get(if_none_match='"other"').body == b"1"
    assert site.get(method="HEAD", if_none_match=etag).status == 304
    site.cache.invalidate(everything=True)
    site.host.says(("cache-control", "max-age=60"), body=[b"1"])
    assert site.get(if_none_match=etag).status == 304  # made anew, and still the same
    assert site.host.calls == 2


def test_a_date_is_as_good_as_a_validator(site: Any) -> None:
    site.host.says(("cache-control", "max-age=60"), ("last-modified", HOUR))
    site.get()
    assert site.get(if_modified_since=HOUR).status == 304
    assert site.get(if_modified_since=LATER).status == 304
    assert site.get(if_modified_since="Sat, 21 Nov 2026 19:59:59 GMT").status == 200


def test_a_stale_answer_is_asked_after_and_renewed(site: Any) -> None:
    def answer(headers: dict[str, str]) -> Any:
        more = [("cache-control", "max-age=60"), ("etag", '"v1"'), ("x-call", str(site.host.calls))]
        return (304, more, []) if headers.get("if-none-match") == '"v1"' else (200, more, [b"body"])

    site.host.answer = answer
    site.get()
    site.clock.at_s += 61
    second = site.get()
    assert (second.status, second.body, second.headers["x-call"]) == (200, b"body", "2")  # 4.3.4
    assert site.host.seen[1]["if-none-match"] == '"v1"'
    site.clock.at_s += 59
    assert site.get().headers["age"] == "59"
    assert site.host.calls == 2
    site.clock.at_s += 2
    assert site.get(if_none_match='"v1"').status == 304
    assert site.host.calls == 3


def test_no_cache_asks_each_time(site: Any) -> None:
    def answer(headers: dict[str, str]) -> Any:
        more = [("cache-control", "no-cache, max-age=60"), ("etag", '"v1"')]
        return (304, more, []) if headers.get("if-none-match") == '"v1"' else (200, more, [b"body"])

    site.host.answer = answer
    assert [site.get().body for _ in range(3)] == [b"body"] * 3
    assert site.host.calls == 3
    assert [seen.get("if-none-match") for seen in site.host.seen] == [None, '"v1"', '"v1"']


def test_a_renewal_that_forbids_it_keeps_nothing_and_gives_its_cookie_to_nobody_else(site: Any) -> None:
    def answer(headers: dict[str, str]) -> Any:
        if headers.get("if-none-match") == '"v1"':
            return 304, [("cache-control", "max-age=60"), ("set-cookie", f"session={site.host.calls}")], []
        return 200, [("cache-control", "max-age=60"), ("etag", '"v1"')], [b"body"]

    site.host.answer = answer
    site.get()
    site.clock.at_s += 61
    assert "session" not in str(site.get().headers.get("set-cookie", ""))
    assert "set-cookie" not in site.get().headers
    assert site.host.calls == 3


def test_stale_answers_are_served_while_they_are_made_anew(site: Any) -> None:
    site.host.says(("cache-control", "max-age=60, stale-while-revalidate=30"))
    site.get()
    site.clock.at_s += 80
    stale = site.get()
    assert (stale.body, stale.headers["cache-status"]) == (b"1", "pitstop; hit; detail=stale; ttl=-20")
    assert site.cache.core.background.drain(5)
    assert site.host.calls == 2
    assert site.get().body == b"2"
    site.clock.at_s += 100
    assert site.get().body == b"3"  # too old for it


@pytest.mark.parametrize("failure", [500, 502, 503, 504, RuntimeError("broken")])
def test_a_stale_answer_stands_in_for_a_failure(site: Any, failure: Any) -> None:
    site.host.says(("cache-control", "max-age=60, stale-if-error=600"))
    site.get()
    site.clock.at_s += 300
    if isinstance(failure, int):
        site.host.says(status=failure)
        answer = site.get()
        assert (answer.status, answer.body) == (200, b"1")
        assert "stale-if-error" in answer.headers["cache-status"]
    else:
        site.host.raises(failure)
        if site.colour == "asgi":
            with pytest.raises(RuntimeError, match="broken"):  # servers are to know; see the test with real ones
                site.get()
        else:
            assert site.get().body == b"1"
    site.host.says(status=503)
    assert site.get(cache_control="no-cache").status == 503
    site.clock.at_s += 400
    assert site.get().status == 503


def test_a_failure_of_what_must_be_asked_after_is_passed_on(site: Any) -> None:
    site.host.says(("cache-control", "max-age=60, must-revalidate, stale-if-error=600"), ("etag", '"a"'))
    site.get()
    site.clock.at_s += 61
    site.host.says(status=503)
    assert site.get().status == 503
    site.host.raises(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        site.get()


def test_answers_in_pieces_pass_piece_by_piece_and_are_kept_when_complete(site: Any) -> None:
    site.host.says(("cache-control", "max-age=60"), body=[b"one ", b"two ", b"three"])
    assert site.get().body == b"one two three"
    answer = site.get()
    assert (answer.body, answer.headers["content-length"], site.host.calls) == (b"one two three", "13", 1)


def test_answers_that_are_cut_short_too_large_or_endless_are_not_kept(make_site: Any) -> None:
    site = make_site(max_bytes=10)
    site.host.says(("cache-control", "max-age=60"), ("content-length", "99"), body=[b"one", b"two"])
    site.get("/short")
    site.get("/short")
    site.host.says(("cache-control", "max-age=60"), body=[b"12345", b"678901"])
    assert site.get("/large").body == site.get("/large").body == b"12345678901"
    site.host.says(("cache-control", "max-age=60"), body=[b"12345678901"])
    site.get("/larger")
    site.get("/larger")
    site.host.says(("cache-control", "max-age=60"), ("content-type", "text/event-stream"), body=[b"a", b"b"])
    site.get("/events")
    site.get("/events")
    assert site.host.calls == 8


def test_headers_of_one_connection_are_not_kept(site: Any) -> None:
    site.host.says(
        ("cache-control", "max-age=60"), ("connection", "close, X-Hop"), ("x-hop", "1"), ("x-own", "2"),
        ("date", HOUR), ("server-timing", "db;dur=3"),
    )  # fmt: skip
    site.get()
    headers = site.get().headers
    assert headers["x-own"] == "2"
    assert not {"connection", "x-hop", "date", "server-timing"} & set(headers)


def test_a_route_can_mark_its_answer_and_browsers_are_told_to_ask(site: Any) -> None:
    site.host.says()
    site.host.marks = {"ttl_s": 60, "tags": ["items"], "stale_if_error_s": 30, "vary": ["X-Beta"]}
    first = site.get()
    assert (first.headers["cache-control"], first.body) == ("no-cache", b"1")
    assert site.get().body == b"1"
    assert site.get(x_beta="1").body == b"2"
    assert site.get(cookie="a=b").body == b"3"  # not marked as public
    site.cache.invalidate("items")
    assert site.get().body == b"4"
    site.host.marks = {"ttl_s": 60, "public": True, "client_s": 5}
    assert site.get("/public", cookie="a=b").headers["cache-control"] == "public, max-age=5"
    assert site.get("/public", cookie="a=c").body == b"5"
    site.host.says(("cache-control", "no-store"))
    site.get("/no")
    site.get("/no")
    assert site.host.calls == 7


def test_what_is_voided_while_it_is_made_is_not_kept(site: Any) -> None:
    def answer(_: Any) -> Any:
        if site.host.calls == 1:
            site.cache.invalidate("path:/", how="event")
        return 200, [("cache-control", "max-age=60")], [b"%d" % site.host.calls]

    site.host.answer = answer
    assert [site.get().body for _ in range(3)] == [b"1", b"2", b"2"]


def test_of_those_who_ask_at_a_time_one_asks_the_application(site: Any) -> None:
    site.get()
    site.clock.at_s += 61
    gate = threading.Barrier(8)
    bodies: list[bytes] = []

    async def all_at_once() -> None:
        answers = await asyncio.gather(*(site.aget("/", "GET", {"host": "shop"}) for _ in range(8)))
        bodies.extend(answer.body for answer in answers)

    def one() -> None:
        gate.wait()
        bodies.append(site.get().body)

    if site.colour == "asgi":
        asyncio.run(all_at_once())
    else:
        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bodies == [b"2"] * 8
    assert site.host.calls == 2


def test_faults_of_ours_cost_nobody_a_request(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("look", "keep"):
        monkeypatch.setattr(site.app.responses, method, lambda *_, **__: 1 / 0)
        assert site.get().status == 200
        monkeypatch.undo()
    monkeypatch.setattr("pitstop.tune.cache.web.making.terms", lambda *_, **__: 1 / 0)
    assert site.get().status == 200
    monkeypatch.setattr(site.cache, "invalidate", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(site.cache, "ainvalidate", lambda *_, **__: 1 / 0)
    assert site.get(method="POST").status == 200


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        (b"", {}),
        (b'a, b=1 ,c="x,y"', {b"a": None, b"b": b"1", b"c": b"x,y"}),
        (b"max-age=5, MAX-AGE=3", {b"max-age": b"3"}),
        (b"a b", {b"no-store": None}),
        (b"=", {b"no-store": None}),
        (b'a="', {b"no-store": None}),
        (b"x" * 9000, {b"no-store": None}),
    ],
)  # fmt: skip
def test_directives_are_read_so_that_doubt_keeps_nothing(header: bytes, parsed: dict[bytes, Any]) -> None:
    assert parse(header) == parsed


def test_marks_that_make_no_sense_are_refused(make_site: Callable[..., Any]) -> None:
    site = make_site()
    for wrong in ({"ttl_s": 0}, {"ttl_s": 1, "client_s": -1}, {"ttl_s": 1, "tags": "items"}):
        site.host.marks = wrong
        with pytest.raises(ValueError, match=r"needed|0 or more"):
            site.get()
    with pytest.raises(ValueError, match="max_bytes=0"):
        make_site(max_bytes=0)
