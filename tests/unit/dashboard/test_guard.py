"""The Host list, the origin of changes, and where a sign-in may lead."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from pitstop.dashboard.access import safe_next
from pitstop.dashboard.guard import Hosts, content_policy


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:9200", "[::1]:9200", "LOCALHOST:1", "perf.example", "perf.example:443"]
)
def test_loopback_and_given_names_are_answered_on_any_port(host: str) -> None:
    assert Hosts(["perf.example"]).allows(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "localhost:x", "127.0.0.1:80@evil", "[::1]x", "evil:localhost"],
)
def test_any_other_host_is_refused(host: str) -> None:
    assert not Hosts(["perf.example"]).allows(host)


def test_a_name_given_with_its_port_is_answered_on_that_port_only() -> None:
    hosts = Hosts(["perf.example:8443"])
    assert hosts.allows("perf.example:8443")
    assert not hosts.allows("perf.example")
    assert not hosts.allows("perf.example:9000")


def headers(**given: str) -> Headers:
    return Headers({"host": "localhost:9200"} | {name.replace("_", "-"): value for name, value in given.items()})


@pytest.mark.parametrize(
    "given",
    [
        {"origin": "http://localhost:9200"},
        {"referer": "http://localhost:9200/storage"},
        {"origin": "https://perf.example"},
    ],
)
def test_a_page_of_ours_may_change_things(given: dict[str, str]) -> None:
    assert Hosts(["perf.example"]).same_origin(headers(**given))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9200.evil.example"},
        {"origin": "file://localhost:9200"},
        {"origin": "http://[bad"},
        {"origin": "http://localhost:9200", "sec_fetch_site": "cross-site"},
        {"origin": "http://evil.example", "referer": "http://localhost:9200/"},
    ],
)
def test_a_page_of_somebody_else_may_not(given: dict[str, str]) -> None:
    assert not Hosts(["perf.example"]).same_origin(headers(**given))


@pytest.mark.parametrize("path", ["/", "/routes?last=7d", "/route?route=GET%20%2Fx&from=1&to=2"])
def test_a_path_of_ours_is_where_a_sign_in_leads(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "routes",
        "//evil.example",
        "/\\evil.example",
        "\\evil",
        "http://evil",
        "javascript:alert(1)",
        "/a\nb",
        "///x",
    ],
)
def test_anything_else_leads_to_the_overview(wanted: str) -> None:
    assert safe_next(wanted) == "/"


def test_the_policy_allows_nothing_by_default_and_no_inline_script() -> None:
    policy = content_policy("abc", "localhost")
    assert policy.startswith("default-src 'none'; script-src 'nonce-abc';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
