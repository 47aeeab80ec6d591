"""Envelopes as sealed bytes: versioned, compressed above a size, authenticated, encrypted where asked.

    version 1 · flags 1 · key id 4 · [nonce 12] · body · seal 16

The seal is HMAC-SHA256 cut to 128 bits (RFC 2104, section 5), or AES-256-GCM's tag, over all before it and the cache
key, so a blob is good for the key it was written for only: not for another tenant's, and not with one bit changed. It
is checked before anything is unpacked. Without a secret it tells damage, not forgery, and still nothing that is read
can run: a planted pickle, a blob of another version and a bomb are all just no value.

Of several secrets the first writes and all are read, so that a new one can be put in front while old values live on.
AES-GCM's nonces are random: change the secret before 2³² values were written with it (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import CacheValueError, SettingError
from pitstop.tune.cache.envelope import Envelope
from pitstop.tune.cache.trend import Trend
from pitstop.tune.cache.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERSION: Final = 1
COMPRESS_OVER_BYTES: Final = 1024
WORTH_RATIO: Final = 0.9  # what does not get that small stays as it is
MOST_BYTES: Final = 16 << 20  # of one value, before compression
SHORTEST_SECRET: Final = 16

PACKED, COMPRESSED, ENCRYPTED, SIGNED = 1, 2, 4, 8
_HEAD: Final = 6
_NONCE: Final = 12
_SEAL: Final = 16


class _Key:
    """What one secret gives: a key to seal with, one to encrypt with, and an id that tells nothing of it."""

    def __init__(self, secret: bytes) -> None:
        self.seal = hashlib.blake2b(secret, digest_size=32, person=b"pitstop seal").digest()
        self.cipher = hashlib.blake2b(secret, digest_size=32, person=b"pitstop cipher").digest()
        self.id = hashlib.blake2b(secret, digest_size=4, person=b"pitstop id").digest()
        self._aes: Any = None

    @property
    def aes(self) -> Any:
        """The cipher."""
        if self._aes is None:
            try:
                from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  only for encryption
            except ImportError:
                raise SettingError("encrypt=True needs cryptography: pip install cryptography") from None
            self._aes = AESGCM(self.cipher)
        return self._aes


class Codec:
    """Seals and opens. `secret` is one or several, each of 16 characters or more; `types` as for `Values`.

    Raises SettingError for secrets that are too short, and for encryption without one.
    """

    def __init__(
        self, *, secret: str | bytes | Sequence[str | bytes] | None = None, encrypt: bool = False,
        types: Iterable[type] = (), compress_over_bytes: int = COMPRESS_OVER_BYTES, most_bytes: int = MOST_BYTES,
    ) -> None:  # fmt: skip
        secrets = [secret] if isinstance(secret, (str, bytes)) else list(secret or ())
        raw = [each.encode() if isinstance(each, str) else each for each in secrets]
        if any(len(each) < SHORTEST_SECRET for each in raw):
            raise SettingError(
                f"secret: {SHORTEST_SECRET} characters or more are needed; secrets.token_urlsafe() makes one"
            )
        if encrypt and not raw:
            raise SettingError("encrypt=True needs secret=…; secrets.token_urlsafe() makes one")
        self.signed = bool(raw)
        self._keys = [_Key(each) for each in raw or [b"damage only"]]
        self._by_id = {key.id: key for key in reversed(self._keys)}
        self._encrypt = encrypt
        if encrypt:
            _ = self._keys[0].aes  # what is missing is told now
        self._values = Values(types)
        self._compress_over = compress_over_bytes
        self._most = most_bytes

    def seal(self, key: str, envelope: Envelope) -> bytes:
        """Bytes of `envelope` for `key`. Raises CacheValueError for values that have none, or too many."""
        body = self._values.write([*envelope[1:8], tuple_of(envelope.trend), envelope.value])
        if len(body) > self._most:
            raise CacheValueError(f"a value has {len(body)} bytes; a level takes {self._most} at most")
        flags = PACKED if self._values.msgpack else 0
        if len(body) > self._compress_over:
            smaller = zlib.compress(body, 1)
            if len(smaller) < len(body) * WORTH_RATIO:
                body, flags = smaller, flags | COMPRESSED
        own = self._keys[0]
        flags |= SIGNED if self.signed else 0
        bound = key.encode("utf-8", "surrogatepass")
        if self._encrypt:
            head = bytes((VERSION, flags | ENCRYPTED)) + own.id
            nonce = os.urandom(_NONCE)
            sealed: bytes = head + nonce + own.aes.encrypt(nonce, body, head + bound)
            return sealed
        head = bytes((VERSION, flags)) + own.id
        return head + body + hmac.digest(own.seal, head + _length(bound) + bound + body, "sha256")[:_SEAL]

    def open(self, key: str, blob: bytes) -> Envelope | None:
        """What was sealed for `key`; None for anything else, whoever wrote it."""
        try:
            return self._open(key.encode("utf-8", "surrogatepass"), blob)
        except Exception:  # noqa: BLE001  bytes from outside may be wrong in any way; all of them are no value
            return None

    def _open(self, bound: bytes, blob: bytes) -> Envelope | None:
        if len(blob) < _HEAD + _SEAL or len(blob) > self._most + 256 or blob[0] != VERSION:
            return None
        head, flags = blob[:_HEAD], blob[1]
        own = self._by_id.get(head[2:])
        if own is None or bool(flags & SIGNED) != self.signed:
            return None
        if flags & ENCRYPTED:
            nonce = blob[_HEAD : _HEAD + _NONCE]
            body = own.aes.decrypt(nonce, blob[_HEAD + _NONCE :], head + bound)
        else:
            body, seal = blob[_HEAD:-_SEAL], blob[-_SEAL:]
            right = hmac.digest(own.seal, head + _length(bound) + bound + body, "sha256")[:_SEAL]
            if not hmac.compare_digest(seal, right):
                return None
        if flags & COMPRESSED:
            unpacking = zlib.decompressobj()
            body = unpacking.decompress(body, self._most + 1)
            if len(body) > self._most or not unpacking.eof:
                return None
        made_s, fresh_s, stale_s, cost_s, negative, tags, versions, trend, value = self._values.read(
            body, packed=bool(flags & PACKED)
        )
        if len(tags) != len(versions):
            return None
        return Envelope(
            value, float(made_s), float(fresh_s), float(stale_s), float(cost_s), bool(negative),
            tuple(map(str, tags)), tuple(map(int, versions)), None if trend is None else Trend(*map(float, trend)),
        )  # fmt: skip


def tuple_of(trend: Trend | None) -> list[float] | None:
    """A trend as both formats know it."""
    return None if trend is None else list(trend)


def _length(bound: bytes) -> bytes:
    return len(bound).to_bytes(4, "big")
