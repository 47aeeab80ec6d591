"""Which addresses may be called: those that anybody on the internet may call, and what the operator allowed by name.

Sources: IANA's special-purpose address registries (RFC 6890) and the cloud providers' documents of their metadata
services. IPv6 is allow-listed: only global unicast (2000::/3) is called, and addresses that carry an IPv4 address in
them (mapped, 6to4, NAT64, Teredo) are judged by what they carry.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from pitstop.model.errors import EgressRefusedError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = IPv4Address | IPv6Address

METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, OpenStack …
        "169.254.170.2",  # AWS ECS: credentials of the task
        "169.254.170.23",  # AWS EKS: credentials of the pod
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server: a public address that only a guest reaches
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",
        "fd20:ce::254",  # Google over IPv6
    )
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_RELAYS = ip_network("192.88.99.0/24")  # 6to4 relays, withdrawn by RFC 7526
_LONGEST_NAME = 253  # RFC 1035
_PORTS = 65_535
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)


def host_name(host: str) -> str:
    """`host` as it is compared: lower case, punycode, without a last dot; an address in its one canonical spelling.

    Raises EgressRefusedError for what is no name, and for numbers that a resolver would take for an address
    (2130706433, 0x7f.1, 0177.0.0.1): nobody types those who means well.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare:
        try:
            return str(IPv6Address(bare))
        except ValueError:
            raise EgressRefusedError(f"{_shown(host)} is no IPv6 address") from None
    try:
        name = bare.removesuffix(".").encode("idna").decode("ascii").lower() if not bare.isascii() else bare.lower()
    except UnicodeError:
        raise EgressRefusedError(f"{_shown(host)} is no host name") from None
    name = name.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise EgressRefusedError(
                f"{_shown(host)} is a number and no address: write it as four decimals with dots"
            ) from None
    if len(name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise EgressRefusedError(f"{_shown(host)} is no host name")
    return name


def carried(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, or `address` itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def refusal(address: Address) -> str:
    """Why `address` may not be called, in words; empty when it may."""
    target = carried(address)
    for name, holds in (
        ("a cloud's metadata service", target in METADATA or address in METADATA),
        ("loopback", target.is_loopback),
        ("unspecified", target.is_unspecified),
        ("link-local", target.is_link_local),
        ("multicast", target.is_multicast),
        ("private", not target.is_global or target.is_reserved),
        ("a withdrawn relay", isinstance(target, IPv4Address) and target in _RELAYS),
        ("a tunnel", isinstance(target, IPv6Address) and target.teredo is not None),
        ("not global", isinstance(target, IPv6Address) and target not in _GLOBAL_UNICAST),
    ):
        if holds:
            return name
    return ""


class Allowed:
    """What the operator allowed although it is private: ``name``, ``name:port``, ``10.0.0.7``, ``[::1]:8080``.

    A name allows private and loopback addresses only. Metadata services, link-local and multicast addresses must be
    allowed as addresses: a name server cannot lead there. Raises SettingError for an entry that is neither.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._ports: dict[str, set[int]] = {}
        self._everywhere: set[str] = set()
        for entry in entries:
            host, port = _parts(entry.strip())
            if port is None:
                self._everywhere.add(host)
            else:
                self._ports.setdefault(host, set()).add(port)

    def names(self, host: str, port: int) -> bool:
        """Whether `host`, as `host_name` writes it, was allowed for `port`."""
        return host in self._everywhere or port in self._ports.get(host, ())

    def judge(self, host: str, address: Address, port: int) -> None:
        """Raise EgressRefusedError unless `host`, which is at `address`, may be called at `port`."""
        why = refusal(address)
        if not why or self.names(str(address), port):
            return
        if self.names(host, port) and why in {"private", "loopback", "not global"}:
            return
        raise EgressRefusedError(
            f"{_shown(host)}:{port} is at {address}, which is {why}: it is called only when the setting egress_allow "
            f"names {_shown(host) if why in {'private', 'loopback', 'not global'} else address}"
        )


def _parts(entry: str) -> tuple[str, int | None]:
    bare, _, port = entry.rpartition(":")
    if not bare or entry.endswith("]") or (":" in bare and not bare.startswith("[")):
        bare, port = entry, ""
    try:
        host = host_name(bare)
    except EgressRefusedError as error:
        raise SettingError(f"egress_allow: {error}; write name, name:port or [address]:port") from None
    if port and not (port.isdecimal() and port.isascii() and 0 < int(port) <= _PORTS):
        raise SettingError(f"egress_allow: {entry!r} has no port between 1 and {_PORTS}")
    return host, int(port) if port else None


def _shown(host: str) -> str:
    return ascii(host[:80])[1:-1] or "an empty host"
