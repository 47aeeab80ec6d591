"""URLs of Redis servers."""

from __future__ import annotations

import pytest

from pitstop.model.errors import SettingError
from pitstop.tune.cache.redis.address import Login, Node, parse


@pytest.mark.parametrize(
    ("url", "mode", "nodes", "login"),
    [
        ("redis://cache", "single", [Node("cache", 6379)], Login()),
        ("redis://", "single", [], None),
        ("redis://:6380/2", "single", [Node("127.0.0.1", 6380)], Login(db=2)),
        ("redis://me:p%40ss@h:1/3", "single", [Node("h", 1)], Login("me", "p@ss", 3)),
        ("redis://:secret@[::1]:7/?db=4", "single", [Node("::1", 7)], Login("", "secret", 4)),
        ("unix://:secret@/run/redis.sock?db=1", "single", [Node("/run/redis.sock", 0)], Login("", "secret", 1)),
        ("redis+cluster://a,b:7001", "cluster", [Node("a", 6379), Node("b", 7001)], Login()),
        ("redis+sentinel://u:p@a,b:7/shop/5", "sentinel", [Node("a", 26379), Node("b", 7)], Login("u", "p", 5)),
    ],
)
def test_a_url_tells_servers_and_login(url: str, mode: str, nodes: list[Node], login: Login | None) -> None:
    if login is None:
        with pytest.raises(SettingError, match="no host"):
            parse(url)
        return
    address = parse(url)
    assert (address.mode, list(address.nodes), address.login) == (mode, nodes, login)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://cache", "is no scheme"),
        ("cache:6379", "is no scheme"),
        ("redis://h/name", "db 'name'"),
        ("redis://h:99999", "port '99999'"),
        ("redis://h?timeout=3", "'timeout' is no option"),
        ("redis+sentinel://h", "service is missing"),
        ("redis+cluster://h/1", "database 0 only"),
        ("rediss://:hidden@h?ssl_ca_certs=/nowhere", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_secrets(url: str, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint) as caught:
        parse(url)
    assert "hidden" not in str(caught.value)


def test_tls_verifies_unless_it_is_told_not_to() -> None:
    secure, lax = parse("rediss://h"), parse("rediss+cluster://h?ssl_cert_reqs=none")
    assert secure.tls is not None
    assert lax.tls is not None
    assert secure.tls.check_hostname
    assert not lax.tls.check_hostname
    assert parse("redis://h").tls is None


def test_an_address_can_be_shown_without_its_password() -> None:
    address = parse("redis+sentinel://u:hidden@a/shop?sentinel_password=hidden")
    assert str(address) == "sentinel a:26379/shop"
    assert "hidden" not in repr(address)
    assert address.sentinel_login.password == "hidden"
