"""The files a browser loads: read once, compressed once, addressed by what is in them.

One hash over all of them stands in the address (``/static/<hash>/js/main.js``), so modules import one another by
relative paths and every answer may be kept for a year. Nothing outside the table can be asked for: no path is opened.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER = "public, max-age=31536000, immutable"
_WORTH_COMPRESSING = 512  # bytes


@lru_cache(maxsize=1)
def table() -> dict[str, bytes]:
    """Every file by its path under `FOLDER`."""
    return {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }


@lru_cache(maxsize=1)
def revision() -> str:
    """16 hexadecimal letters that change when any file does."""
    digest = hashlib.sha256()
    for name, data in table().items():
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:16]


@lru_cache(maxsize=128)
def compressed(name: str) -> bytes:
    """The file with gzip, the same bytes each time."""
    return gzip.compress(table()[name], compresslevel=9, mtime=0)


def answer(asked_revision: str, name: str, accept_encoding: str) -> Response:
    """The file, or 404 for a name or a revision that is not this one's."""
    data = table().get(name)
    if data is None or asked_revision != revision():
        return Response(status_code=404)
    headers = {"cache-control": _FOREVER, "vary": "accept-encoding"}
    if "gzip" in accept_encoding and len(data) > _WORTH_COMPRESSING:
        data = compressed(name)
        headers["content-encoding"] = "gzip"
    return Response(data, media_type=_TYPES[Path(name).suffix], headers=headers)
