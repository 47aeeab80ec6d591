"""Compressing static files once, when they are built, as small as it gets: ``app.js`` gets ``app.js.br``, ``.gz``."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

WORTH_RATIO = 0.9  # of the original's size: above it the client's work to unpack is not worth it (as in whitenoise)
LEAST_BYTES = 512  # a smaller file fits into one packet anyhow
BROTLI_LEVEL, GZIP_LEVEL = 11, 9
_PACKED = frozenset(
    ".br .zst .gz .zip .7z .xz .bz2 .png .jpg .jpeg .gif .webp .avif .mp3 .mp4 .webm .woff .woff2".split()  # noqa: SIM905  a list of words
)


def precompress(folder: str | os.PathLike[str], *, brotli: bool = True) -> dict[str, int]:
    """Write what is missing or older than its file; bytes saved by each file written.

    Brotli needs the package cramjam. Raises SettingError.
    """
    root = Path(folder)
    if not root.is_dir():
        message = f"{folder!s} is no folder: give the one that the files are in"
        raise SettingError(message)
    codecs: dict[str, Callable[[bytes], bytes]] = {".gz": lambda data: gzip.compress(data, GZIP_LEVEL, mtime=0)}
    if brotli:
        try:
            import cramjam  # noqa: PLC0415  only who compresses needs it
        except ImportError as error:
            message = "compressing with brotli needs cramjam: pip install cramjam, or give brotli=False"
            raise SettingError(message) from error
        codecs[".br"] = lambda data: bytes(cramjam.brotli.compress(data, level=BROTLI_LEVEL))
    saved: dict[str, int] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in _PACKED or not path.is_file() or path.stat().st_size < LEAST_BYTES:
            continue
        data = path.read_bytes()
        for end, compress in codecs.items():
            target = path.with_name(path.name + end)
            if target.exists() and target.stat().st_mtime >= path.stat().st_mtime:
                continue
            packed = compress(data)
            if len(packed) <= len(data) * WORTH_RATIO:
                written = target.with_name(f".{target.name}.{os.getpid()}")
                written.write_bytes(packed)
                written.replace(target)  # whoever serves the folder sees all of it or nothing
                saved[target.relative_to(root).as_posix()] = len(data) - len(packed)
            else:
                target.unlink(missing_ok=True)  # of an older file
    return saved
