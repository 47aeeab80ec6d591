"""Who may be called."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.egress import Allowed, Client, EgressError, refusal, resolved
from pitstop.egress.addresses import host_name
from pitstop.model.errors import EgressRefusedError, SettingError

PRIVATE = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "private",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "private",
    "198.18.0.1": "private",
    "240.0.0.1": "private",
    "255.255.255.255": "private",
    "169.254.1.1": "link-local",
    "169.254.169.254": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "192.0.0.192": "metadata",
    "224.0.0.1": "multicast",
    "192.88.99.1": "relay",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "private",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:169.254.169.254": "metadata",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "metadata",
    "64:ff9b:1::808:808": "private",
    "2002:7f00:1::": "loopback",
    "2002:a00:1::1": "private",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "private",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "not global",
    "fc00::1": "private",
    "fd00:ec2::254": "metadata",
    "ff02::1": "multicast",
    "2001:db8::1": "private",
    "4000::1": "private",
}
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808"]


@pytest.mark.parametrize(("text", "why"), PRIVATE.items())
def test_what_is_not_public_is_refused_and_named(text: str, why: str) -> None:
    assert why in refusal(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_may_be_called(text: str) -> None:
    assert refusal(ip_address(text)) == ""


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_in_an_ipv6_one_is_judged_as_itself(number: int) -> None:
    bare = bool(refusal(IPv4Address(number)))

    assert bool(refusal(IPv6Address((0xFFFF << 32) | number))) == bare
    assert bool(refusal(IPv6Address((0x64FF9B << 96) | number))) == bare
    assert bool(refusal(IPv6Address((0x2002 << 112) | (number << 80) | 1))) == bare


@given(st.integers(0, 2**128 - 1))
def test_no_ipv6_address_beyond_global_unicast_is_called(number: int) -> None:
    address = IPv6Address(number)
    carries = address.ipv4_mapped is not None or number >> 32 == 0x64FF9B << 64

    assert refusal(address) or carries or number >> 125 == 1


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "1.2.3", "127.0.0.1.5", "08.8.8.8", "1.0x1"],
)
def test_numbers_that_a_resolver_would_take_for_an_address_are_refused(host: str) -> None:
    with pytest.raises(EgressRefusedError, match="number"):
        host_name(host)


@pytest.mark.parametrize(
    "host", ["", ".", "a..b", "-a.b", "a b", "a/b", "a\r\nb", "a\x00b", "[::1", "::g", "é" * 300, "x" * 64]
)
def test_what_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(EgressRefusedError):
        host_name(host)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("EXAMPLE.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[::0:1]", "::1"),
        ("a_b.internal", "a_b.internal"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
    ],
)
def test_a_name_has_one_spelling(host: str, name: str) -> None:
    assert host_name(host) == name


def test_a_name_allows_private_addresses_and_its_port_only() -> None:
    allowed = Allowed(["hooks.internal", "Mail.Internal:2525", "[fd00::7]:8080", "10.0.0.7"])

    for host, address, port in (
        ("hooks.internal", "10.1.2.3", 80),
        ("hooks.internal", "127.0.0.1", 9999),
        ("mail.internal", "192.168.0.1", 2525),
        ("fd00::7", "fd00::7", 8080),
        ("any.name", "10.0.0.7", 443),
    ):
        allowed.judge(host, ip_address(address), port)
    for host, address, port in (
        ("mail.internal", "192.168.0.1", 25),
        ("other.internal", "10.1.2.3", 80),
        ("fd00::7", "fd00::7", 80),
        ("x.hooks.internal", "10.1.2.3", 80),
    ):
        with pytest.raises(EgressRefusedError, match="egress_allow names"):
            allowed.judge(host, ip_address(address), port)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "169.254.0.9", "224.0.0.1", "0.0.0.0"]
)
def test_a_name_server_cannot_lead_an_allowed_name_to_metadata_or_link_local(address: str) -> None:
    with pytest.raises(EgressRefusedError):
        Allowed(["hooks.internal"]).judge("hooks.internal", ip_address(address), 80)


def test_metadata_is_called_when_its_address_itself_is_allowed() -> None:
    Allowed(["169.254.169.254:80"]).judge("meta.internal", ip_address("169.254.169.254"), 80)


@pytest.mark.parametrize("entry", ["a b", "x:0", "x:70000", "x:y", "127.1", ""])
def test_an_entry_that_allows_nothing_is_an_error(entry: str) -> None:
    with pytest.raises(SettingError, match="egress_allow"):
        Allowed([entry])


URLS = st.one_of(
    st.text(max_size=80),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["http://", "https://", "HTTP:\\\\", "http:", "file://", "//", "ftp://", ""]),
        st.sampled_from(["", "user:pass@", "localhost@", "a%40"]),
        st.one_of(
            st.sampled_from(
                [
                    "127.0.0.1",
                    "localhost",
                    "[::1]",
                    "2130706433",
                    "0x7f.1",
                    "①②⑦.0.0.1",
                    "LOCALHOST.",
                    "0",
                    "[::ffff:7f00:1]",
                ]
            ),
            st.ip_addresses().map(str),
            st.text(max_size=20),
        ),
        st.sampled_from(["", ":80", ":0", ":99999", "/", "/\r\nX: y", "?q", "#f", "\\@evil.example"]),
    ),
)


@settings(max_examples=400)
@given(URLS)
def test_whatever_is_typed_nothing_private_is_called_and_nothing_else_is_raised(url: str) -> None:
    called: list[str] = []

    class Watched(Client):
        def connect(self, host: str, port: int, timeout_s: float = 1, *, tls: bool = False) -> NoReturn:
            del tls
            called.extend(map(str, resolved(host, port, self._allowed, lambda _host, _port: ["127.0.0.1"], timeout_s)))
            raise EgressError("stop here")

    with pytest.raises(EgressError):
        Watched().request("GET", url, timeout_s=1)
    assert not any(refusal(ip_address(address)) for address in called)
