"""Whom an outgoing call tells its trace id."""

from __future__ import annotations

import pytest

from pitstop.instrument.options import OPTIONS
from pitstop.instrument.outgoing import has_traceparent, name_of
from pitstop.instrument.propagation import CAPACITY, _answers, may_tell
from pitstop.record import Operation


def request_for(host: str) -> Operation:
    op = Operation("http", 1)
    op.host = host  # type: ignore[misc]
    return op


@pytest.mark.parametrize(
    ("own", "target", "told"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("localhost:8000", "127.0.0.1", True),
        ("shop.example.com", "localhost", True),  # this machine
        ("[::1]:8000", "::1", True),
        ("shop.example.com", "api.example.com", True),
        ("shop.example.com:443", "API.Example.com", True),
        ("shop.example.com", "example.com", True),
        ("shop.example.com", "example.com.", True),
        ("shop.example.com", "example.org", False),
        ("shop.example.com", "badexample.com", False),
        ("shop.co.uk", "bank.co.uk", False),
        ("a.shop.co.uk", "b.shop.co.uk", True),
        ("mine.herokuapp.com", "yours.herokuapp.com", False),
        ("10.0.0.5", "93.0.0.5", False),
        ("10.0.0.5:80", "10.0.0.5", True),
        ("orders", "orders", True),
        ("orders", "payments", False),
        ("com", "com.", True),
        ("", "example.com", False),
        ("..", ".", False),
        ("127.evil.com", "127.evil.org", False),
    ],
)
def test_the_same_site_is_told(own: str, target: str, told: bool) -> None:
    assert may_tell(request_for(own), target) is told


def test_names_are_told_with_what_is_below_them() -> None:
    OPTIONS.configure(exclude=(), exec_time=False, server_timing=False, propagate=("api.test", "same-site"))
    try:
        asked = ["api.test", "v1.api.test", "myapi.test", "test", "127.0.0.1"]
        assert [may_tell(request_for(""), host) for host in asked] == [True, True, False, False, True]
    finally:
        OPTIONS.configure(exclude=(), exec_time=False, server_timing=False)


def test_made_up_host_headers_do_not_fill_the_memory() -> None:
    for i in range(2 * CAPACITY):
        may_tell(request_for(f"{i}.example"), "api.example.com")
    assert len(_answers) <= CAPACITY


def test_a_name_has_no_more_than_method_and_host() -> None:
    assert name_of("get", "API.example.com", 443) == "GET api.example.com"
    assert name_of("GET", "::1", 8080) == "GET [::1]:8080"
    assert name_of("BREW", "pot", None) == "_OTHER pot"
    assert len(name_of("GET", "a" * 10_000, None)) < 300


def test_a_header_is_seen_however_it_is_written() -> None:
    assert has_traceparent(["accept", "TraceParent"])
    assert has_traceparent([b"traceparent"])
    assert not has_traceparent(["tracestate"])
