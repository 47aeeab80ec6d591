"""What must not be read by who reads the file, the log or the page: addresses with tokens in them, signing keys.

Sealed with ChaCha20-Poly1305 (RFC 8439) under a key that scrypt (RFC 7914) makes of the setting `secret_key`, or that
is in a file of 32 random bytes beside the ledger (mode 0600): a copy of the ledger alone says nothing. What was sealed
for one channel does not open as another's.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from pitstop.model import SettingError, StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

BLOT = "…"
SHORTEST_KEY = 16  # characters of the setting `secret_key`
_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_SALT = b"pitstop channels v1"  # fixed: whoever has the key must find the same one in every process


class Secret:
    """A text that shows itself to nobody who does not ask by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for whoever sends with it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return BLOT if self._text else "none"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")


class Vault:
    """Seals and opens. `key`: the setting; empty: a file at `path`, made when there is none; None: for this process.

    Raises SettingError for a key that is too short, StoreUnavailableError when the file cannot be read or made.
    """

    def __init__(self, key: str = "", path: Path | None = None) -> None:
        if key and len(key) < SHORTEST_KEY:
            raise SettingError(
                f"secret_key has {len(key)} characters, it needs at least {SHORTEST_KEY}; leave it out for a file"
            )
        if key:
            raw = Scrypt(salt=_SALT, length=_KEY_BYTES, n=2**14, r=8, p=1).derive(key.encode())
        else:
            raw = _of_file(path) if path is not None else secrets.token_bytes(_KEY_BYTES)
        self._cipher = ChaCha20Poly1305(raw)

    def seal(self, text: str, owner: str) -> bytes:
        """`text` so that only `unseal` with the same `owner` reads it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), _VERSION + owner.encode())

    def unseal(self, sealed: bytes, owner: str) -> str:
        """What was sealed for `owner`. Raises SettingError when the key is another one."""
        version, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            text = self._cipher.decrypt(nonce, rest, version + owner.encode())
            return text.decode()
        except (InvalidTag, ValueError):
            raise SettingError(
                "its address was encrypted with another key: set secret_key to that one, or type the address again"
            ) from None


def _of_file(path: Path) -> bytes:
    try:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists():
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                os.write(handle, secrets.token_bytes(_KEY_BYTES))
                os.fsync(handle)
                os.link(temporary, path)  # whole or not at all, and never over one that another process made
            except FileExistsError:
                pass
            finally:
                os.close(handle)
                temporary.unlink()
        raw = path.read_bytes()
    except OSError as error:
        raise StoreUnavailableError(f"{path}, the key of the channels, cannot be used: {error.strerror}") from error
    if len(raw) != _KEY_BYTES:
        raise StoreUnavailableError(f"{path}, the key of the channels, has {len(raw)} bytes instead of {_KEY_BYTES}")
    return raw
