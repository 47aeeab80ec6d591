"""By TLS: commands of threads and tasks, and what is pushed."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pitstop.tune.cache import Cache
from pitstop.tune.cache.redis import RedisLevel
from pitstop.tune.cache.redis.client import Client
from pitstop.tune.cache.redis.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Server


def certify(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def test_everything_works_by_tls_and_a_wrong_certificate_is_refused(
    server: Server, tmp_path: Path, until: Callable[..., Any]
) -> None:
    """Values larger than a record go through in both colours, and changes are heard."""
    certificate, key = certify(tmp_path)
    with_tls = ("tls-cert-file", certificate), ("tls-key-file", key), ("tls-ca-cert-file", certificate)
    for name, value in (*with_tls, ("tls-auth-clients", "no"), ("tls-port", server.tls_port)):
        if server.say("CONFIG", "SET", name, value) != b"OK":
            pytest.skip("this redis-server has no TLS")
    url = f"rediss://127.0.0.1:{server.tls_port}/0?ssl_ca_certs={certificate}"
    level, other_level = RedisLevel(url, deadline_s=2), RedisLevel(url, deadline_s=2)
    cache, other = Cache(redis=level), Cache(redis=other_level)
    cache.get("x"), other.get("x")
    until(lambda: level.tells and other_level.tells, "changes are heard")
    big = "ä" * 300_000
    cache.set("big", big)
    assert other.get("big") == big

    async def tasks() -> None:
        await cache.aset("big", big + "2")
        for _ in range(200):
            if await other.aget("big") == big + "2":
                break
            await asyncio.sleep(0.01)
        assert await other.aget("big") == big + "2"
        values = await asyncio.gather(*(other.aget(f"key {number}", number) for number in range(50)))
        assert values == list(range(50))
        cache.close()
        other.close()

    asyncio.run(tasks())
    untrusting = Client(f"rediss://127.0.0.1:{server.tls_port}", deadline_s=2)
    with pytest.raises(WireError, match="no connection"):
        untrusting.ask([("GET", "x")])
    with pytest.raises(WireError, match="no connection"):
        asyncio.run(untrusting.aask([("GET", "x")]))
