"""What is asked and what is kept, as the rules see them; no framework, no I/O."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pitstop.tune.cache.web.directives import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Headers = Mapping[bytes, bytes]

Pair = tuple[bytes, bytes]

CREDENTIALS: Final = frozenset(
    b"authorization cookie proxy-authorization x-api-key x-auth-token x-access-token "
    # What proxies that log users in tell of them: Apache, nginx, oauth2-proxy, Authelia, Grafana's, authentik, Kong,
    b"remote-user remote-name remote-email remote-groups x-remote-user x-user x-user-id x-user-email x-userinfo "
    b"x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username x-forwarded-access-token "
    b"x-auth-request-user x-auth-request-email x-auth-request-groups x-auth-request-preferred-username "
    b"x-auth-request-access-token x-webauth-user x-authentik-username x-authentik-uid x-authentik-jwt "
    b"x-authenticated-user x-authenticated-userid x-consumer-id x-consumer-username x-credential-identifier "
    # AWS' load balancer, Cloudflare, Google, Azure, Tailscale,
    b"x-amzn-oidc-data x-amzn-oidc-identity x-amzn-oidc-accesstoken cf-access-jwt-assertion "
    b"cf-access-authenticated-user-email x-goog-authenticated-user-email x-goog-authenticated-user-id "
    b"x-goog-iap-jwt-assertion x-ms-client-principal x-ms-client-principal-id x-ms-client-principal-name "
    b"x-ms-client-principal-idp x-ms-token-aad-id-token x-ms-token-aad-access-token tailscale-user-login "
    # and client certificates: Envoy, RFC 9440, nginx, AWS.
    b"x-forwarded-client-cert client-cert client-cert-chain x-client-cert ssl-client-cert x-ssl-client-cert "
    b"x-ssl-client-dn x-ssl-client-s-dn x-amzn-mtls-clientcert x-amzn-mtls-clientcert-subject".split()
)
"""Headers that say who asks. More can be named."""

# Headers that change what applications answer though caches seldom know of it: keyed, lest one poisons it for all
# (James Kettle: Practical web cache poisoning, 2018).
KEYED: Final = (
    b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-scheme", b"x-forwarded-port",
    b"x-forwarded-prefix", b"x-original-url", b"x-rewrite-url", b"x-host", b"x-http-method-override",
    b"x-http-method", b"x-method-override", b"x-forwarded-server",
)  # fmt: skip
_KEYED = frozenset(KEYED)


class Asked(NamedTuple):
    """A request. `uri_key` stands for everything that is always part of the key; `who`: it says who asks."""

    method: str
    uri_key: str
    path: str
    headers: Headers
    directives: Mapping[bytes, bytes | None]
    who: bool
    tenant: str | None


class Stored(NamedTuple):
    """An answer that is kept, in plain types, so that every level can keep it; times in seconds.

    `headers` has names and values in turn. `shared`: it says that it is for everybody, whoever asks. `age_s` is its age
    when it came in, at `at_s` (Unix time); from `fresh_s` of age on it is stale. `varied` has names and values of the
    request's headers that it was chosen by. `own_etag`: its application named it, and can say whether it still holds.
    """

    status: int
    headers: Sequence[bytes]
    body: bytes
    at_s: float
    age_s: float
    fresh_s: float
    while_revalidate_s: float
    if_error_s: float
    shared: bool
    ask_always: bool
    never_stale: bool
    varied: Sequence[bytes]
    own_etag: bool
    tags: Sequence[str]

    def age_at(self, now_s: float) -> float:
        """Its age by RFC 9111, 4.2.3; clocks that went back make it no younger than it came."""
        return self.age_s + max(0.0, now_s - self.at_s)

    def pairs(self) -> list[Pair]:
        """Headers as ASGI has them."""
        flat = self.headers
        return list(zip(flat[::2], flat[1::2], strict=True))


def restore(value: Any) -> Stored | None:
    """What `Stored` became on its way through a level; None for anything else."""
    if isinstance(value, (tuple, list)) and len(value) == len(Stored._fields):
        return Stored._make(value)
    return None


def asked(
    method: str, scheme: str, host: bytes, path: bytes, query: bytes, headers: Headers, *,
    who_headers: frozenset[bytes] = CREDENTIALS, who: bool = False, tenant: str | None = None,
) -> Asked:  # fmt: skip
    """A request as the rules see it; `who`: something else than its headers says who asks."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (scheme.encode(), host.lower(), path, query):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    if not _KEYED.isdisjoint(headers):
        for name in KEYED:
            if name in headers:
                digest.update(b"%s=%d:%s" % (name, len(headers[name]), headers[name]))
    control = headers.get(b"cache-control")
    if control is None and headers.get(b"pragma", b"").lower() == b"no-cache":  # RFC 9111, 5.4
        control = b"no-cache"
    return Asked(
        method, digest.hexdigest(), path.decode("latin-1"), headers, parse(control),
        who or not who_headers.isdisjoint(headers), tenant,
    )  # fmt: skip


def varied(names: Iterable[bytes], headers: Headers) -> tuple[bytes, ...]:
    """Names and values of the headers that an answer was chosen by, normalized (RFC 9111, 4.1)."""
    out: list[bytes] = []
    for name in names:
        value = headers.get(name)
        if value is None:
            out += (name, b"\0absent")  # no header can have this value
            continue
        parts = (
            [part.strip() for part in value.split(b",")] if name.startswith(b"accept") else [b" ".join(value.split())]
        )
        if name == b"accept-encoding":  # codings have no order but by their weights
            parts = sorted(part.lower().replace(b" ", b"") for part in parts)
        out += (name, b",".join(parts))
    return tuple(out)


def variant_key(uri_key: str, generation: str, chosen: Iterable[bytes]) -> str:
    """The key of the answer that was chosen by these headers."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (uri_key.encode(), generation.encode(), *chosen):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
