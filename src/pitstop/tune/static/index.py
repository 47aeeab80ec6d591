"""Which files there are, under which paths, with everything that is said of them worked out beforehand.

Requests look paths up in this table and never in the file system, so no path leads out of the folder. Left out are
names that begin with a dot and links that lead outside.
"""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.errors import SettingError
from pitstop.tune.conditional import http_date

if TYPE_CHECKING:
    from collections.abc import Callable

IN_MEMORY_BYTES = 32 << 20  # of all files together
SMALL_BYTES = 256 << 10  # a larger file is read from the disk for each request
YEAR_S = 31_536_000  # "forever" (RFC 9111, 5.3)
MOST_FILES = 100_000
GONE = (FileNotFoundError, NotADirectoryError)
ENCODINGS = ((b"br", ".br"), (b"zstd", ".zst"), (b"gzip", ".gz"))

# A name that changes with the content: main.3f2a9c1b.js (webpack, Django), main-BxYz12_3.js (Vite). Letters and a digit
# are asked for, because report-20261121.js and guide-standard.js are no such names.
_HASHED_HEX = re.compile(r"[.-](?=[0-9a-f]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}\.")
_HASHED_BASE64 = re.compile(r"[.-](?=[^.]*[0-9])(?=[^.]*[a-z])(?=[^.]*[A-Z])[0-9A-Za-z_-]{8}\.[a-z0-9.]+$")

_TYPES = mimetypes.MimeTypes()
for _suffix, _type in (
    (".js", "text/javascript"), (".mjs", "text/javascript"), (".css", "text/css"), (".wasm", "application/wasm"),
    (".woff2", "font/woff2"), (".woff", "font/woff"), (".map", "application/json"), (".avif", "image/avif"),
    (".webp", "image/webp"), (".svg", "image/svg+xml"), (".webmanifest", "application/manifest+json"),
):  # fmt: skip
    _TYPES.add_type(_type, _suffix)
_TEXTS = ("text/", "application/json", "application/manifest+json", "image/svg+xml")

Pairs = tuple[tuple[bytes, bytes], ...]


class Variant(NamedTuple):
    """A file in one encoding: `headers` of a 200 but for its length, `body` where it is held in memory."""

    etag: bytes
    headers: Pairs
    length: int
    modified_s: float
    path: Path
    body: bytes | None
    stamp: tuple[int, int]  # size and time of change, ns: whether the file is still this one


class Entry(NamedTuple):
    """What is served under one path: `plain`, and smaller encodings, the smallest first."""

    plain: Variant
    encoded: tuple[tuple[bytes, Variant], ...]


def is_hashed(name: str) -> bool:
    """Whether a file's name holds a hash of its content, so that it never changes."""
    return _HASHED_HEX.search(name) is not None or _HASHED_BASE64.search(name) is not None


class Index:
    """The files of `folder` by their paths below it. `refresh` reads the folder anew; threads may look up meanwhile."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        max_age_s: int,
        immutable: Callable[[str], bool] = is_hashed,
        in_memory_bytes: int = IN_MEMORY_BYTES,
    ) -> None:
        self.root = Path(folder).resolve()
        if not self.root.is_dir():
            message = f"{folder!s} is no folder: give the one that the files are in"
            raise SettingError(message)
        self._max_age_s = max_age_s
        self._immutable = immutable
        self._memory_left = self._in_memory_bytes = in_memory_bytes
        self._entries: dict[str, Entry] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, path: str) -> Entry | None:
        """What is served under `path`, which has no slash in front; a folder's ``index.html`` under ``folder/``."""
        return self._entries.get(path)

    def refresh(self) -> None:
        """Read the folder."""
        self._memory_left = self._in_memory_bytes
        found: dict[str, Entry] = {}
        paths: dict[str, Path] = {}
        for above, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(above, name)
                if name.startswith(".") or not self._inside(path):
                    continue
                paths[path.relative_to(self.root).as_posix()] = path
            if len(paths) > MOST_FILES:
                message = f"{self.root} holds more than {MOST_FILES} files: serve a folder of static files only"
                raise SettingError(message)
        for url, path in paths.items():
            entry = self._entry(url, path, paths)
            found[url] = entry
            if url == "index.html" or url.endswith("/index.html"):
                found[url.removesuffix("index.html")] = entry
        self._entries = found

    def renew(self, path: str) -> Entry | None:
        """Read one file anew, which has changed on the disk since; None when it is gone. Raises other OSErrors."""
        old = self._entries.get(path)
        if old is None:
            return None
        file = old.plain.path
        url = file.relative_to(self.root).as_posix()
        siblings = {url + end: file.with_name(file.name + end) for _, end in ENCODINGS}
        there = self._inside(file)  # a link may have taken its place
        for packed in ({name: at for name, at in siblings.items() if self._inside(at)}, {}) if there else ():
            try:
                entry = self._entries[path] = self._entry(url, file, packed)
            except GONE:  # it, or a packed form of it that was there a moment ago
                continue
            return entry
        self._entries.pop(path, None)
        return None

    def _inside(self, path: Path) -> bool:
        """Whether it is a file of the folder, links followed."""
        try:
            return path.resolve(strict=True).is_relative_to(self.root) and path.is_file()
        except RuntimeError:  # links in a circle, before Python 3.13
            return False
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                return False
            raise

    def _entry(self, url: str, path: Path, paths: dict[str, Path]) -> Entry:
        plain = self._variant(url, path, None)
        encoded = []
        for encoding, end in ENCODINGS:
            sibling = paths.get(url + end)
            if sibling is not None and sibling.stat().st_mtime >= path.stat().st_mtime:  # else it is of an older file
                encoded.append((encoding, self._variant(url, sibling, encoding)))
        encoded = sorted(((e, v) for e, v in encoded if v.length < plain.length), key=lambda pair: pair[1].length)
        if encoded:
            vary = (b"vary", b"Accept-Encoding")
            plain = plain._replace(headers=(*plain.headers, vary))
            encoded = [(e, v._replace(headers=(*v.headers, vary))) for e, v in encoded]
        return Entry(plain, tuple(encoded))

    def _variant(self, url: str, path: Path, encoding: bytes | None) -> Variant:
        stat = path.stat()
        body = None
        if stat.st_size <= SMALL_BYTES:
            body = path.read_bytes()
            etag = hashlib.blake2b(body, digest_size=12).hexdigest()
            if len(body) <= self._memory_left:
                self._memory_left -= len(body)
            else:
                body = None
        else:
            etag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
        content_type = _TYPES.guess_type(url)[0] or "application/octet-stream"
        if _TYPES.guess_type(url)[1]:  # a .gz that is served as it is
            content_type = "application/octet-stream"
        if content_type.startswith(_TEXTS):
            content_type += "; charset=utf-8"
        forever = self._immutable(path.name if encoding is None else Path(url).name)
        lifetime = f"max-age={YEAR_S}, immutable" if forever else f"max-age={self._max_age_s}"
        headers = [
            (b"content-type", content_type.encode()),
            (b"etag", f'"{etag}"'.encode()),
            (b"last-modified", http_date(stat.st_mtime)),
            (b"cache-control", f"public, {lifetime}".encode()),
            (b"accept-ranges", b"bytes"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if encoding is not None:
            headers.append((b"content-encoding", encoding))
        stamp = stat.st_size, stat.st_mtime_ns
        return Variant(headers[1][1], tuple(headers), stat.st_size, stat.st_mtime, path, body, stamp)
