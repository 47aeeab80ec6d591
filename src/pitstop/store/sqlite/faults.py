"""What can be wrong with a file, said in our words, and what is done about it."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from pitstop.model.errors import StoreCorruptError, StoreError, StoreUnavailableError

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p", "ncpfs", "beegfs"),
        *("fuse.glusterfs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs"),
    }
)
"""WAL needs shared memory between all processes (sqlite.org/wal.html), which these do not have between machines."""

_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_FOR_NOW = {
    sqlite3.SQLITE_BUSY: "is locked by another process for longer than we wait; what was not written will be retried",
    sqlite3.SQLITE_LOCKED: "is locked; what was not written will be retried",
    sqlite3.SQLITE_FULL: "has no room left; free some space or prune",
    sqlite3.SQLITE_READONLY: "cannot be written; check the rights of the file and its folder, or open it readonly",
    sqlite3.SQLITE_PERM: "cannot be written; check the rights of the file and its folder",
    sqlite3.SQLITE_IOERR: "cannot be read or written (input/output error); check the disk",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder exists and may be written",
    sqlite3.SQLITE_PROTOCOL: "cannot be locked; check the file system",
}


class DamagedFileError(StoreCorruptError):
    """SQLite itself says that the file is malformed or no database."""


def translated(error: sqlite3.Error, path: str) -> StoreError:
    """Our error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return DamagedFileError(f"the store '{path}' is damaged or no database ({error}); run 'pitstop doctor'")
    if code in _FOR_NOW:
        return StoreUnavailableError(f"the store '{path}' {_FOR_NOW[code]} ({error})")
    return StoreError(f"the store '{path}' failed: {error}")


def mounted_file_systems() -> str:
    """The kernel's table of mounts; empty where there is none to read."""
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def file_system_of(path: str, mounts: str) -> str:
    """The type of the file system that holds `path`, of the table `mounts` (as in /proc/mounts); "" if unknown."""
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004  device, place, type
            continue
        place = fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if (real == place or real.startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
            best, kind = place, fields[2]
    return kind


def refuse_network_file_system(path: str, mounts: str) -> None:
    """Raises StoreUnavailableError when `path` lies where WAL cannot work."""
    kind = file_system_of(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreUnavailableError(
            f"the store '{path}' lies on a network file system ({kind}), where SQLite's write-ahead log loses data; "
            "put it on a local disk"
        )


def set_aside(path: str, inode: int) -> str | None:
    """Rename a damaged file and its log; the new name, or None when another process did it already.

    The log goes first: a fresh file must never meet the old log.
    """
    try:
        if inode and Path(path).stat().st_ino != inode:
            return None
        aside = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        for suffix in ("-wal", ""):
            Path(path + suffix).rename(aside + suffix) if Path(path + suffix).exists() else None
        Path(path + "-shm").unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailableError(f"the damaged store '{path}' cannot be renamed: {error}") from error
    return aside
