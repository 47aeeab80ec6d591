"""Passwords: generated, hashed with scrypt and a salt of their own, compared in constant time.

Cost n=2^14, r=8, p=1 (16 MiB, about 50 ms): RFC 7914 section 2 and OWASP's password storage cheat sheet.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

_N, _R, _P = 1 << 14, 8, 1
_SALT_BYTES = 16
_KEY_BYTES = 32
_GENERATED_BYTES = 15  # 120 bits, 20 letters
LONGEST_PASSWORD = 1024  # characters; longer ones are refused before they are hashed


def generate_password() -> str:
    """20 letters that nobody can guess (120 bits), in groups of five for reading aloud."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"  # without l, o, 0 and 1
    letters = "".join(secrets.choice(alphabet) for _ in range(_GENERATED_BYTES * 8 // 6))
    return "-".join(letters[i : i + 5] for i in range(0, len(letters), 5))


def hash_password(password: str) -> str:
    """``scrypt$n$r$p$salt$key``, hexadecimal, with a fresh salt."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_derive(password, salt, _N, _R, _P).hex()}"


def verify_password(password: str, hashed: str) -> bool:
    """Whether `password` has this hash; as slow for a wrong one as for the right one."""
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        scheme, n, r, p, salt, key = hashed.split("$")
        if scheme != "scrypt":
            return False
        derived = _derive(password, bytes.fromhex(salt), int(n), int(r), int(p))
        return hmac.compare_digest(derived, bytes.fromhex(key))
    except ValueError:
        return False


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=64 << 20, dklen=_KEY_BYTES)


NOBODY = hash_password(secrets.token_urlsafe(32))
"""The hash of a password that nobody has: verified for unknown names, so that they take as long as known ones."""
