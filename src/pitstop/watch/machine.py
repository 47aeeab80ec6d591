"""Room on the store's disk, and memory, of the machine that watches; a store in a file is on the service's, too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from pitstop.analyze.units import bytes_text, ratio_text
from pitstop.model.watching import DEGRADED, DOWN, NO_DATA, OK

LITTLE_DISK_RATIO, LITTLE_DISK_BYTES = (
    0.1,
    10e9,
)  # free: less than both is little (Elasticsearch's high watermark: 10 %)
NO_DISK_RATIO, NO_DISK_BYTES = 0.01, 200e6  # SQLite's log and a day of traces need as much
LITTLE_MEMORY_RATIO = 0.1  # available: what the kernel frees below it, it takes from the page cache of databases
NO_MEMORY_RATIO = 0.02
_GROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


class Found(NamedTuple):
    """A state and what it was told from."""

    state: str
    text: str


class Memory(NamedTuple):
    """Bytes that may still be taken, of how many, and who says so: the machine or the container's limit."""

    available: int
    total: int
    of: str


def disk(folder: Path) -> Found:
    """Room on the disk that `folder` is on."""
    try:
        total, _, free = shutil.disk_usage(folder)
    except OSError as error:
        return Found(NO_DATA, f"the disk of {folder} cannot be looked at: {error.strerror}")
    return disk_state(free, total, folder)


def disk_state(free: int, total: int, folder: Path) -> Found:
    """What `free` of `total` bytes mean."""
    text = f"{bytes_text(free)} of {bytes_text(total)} free at {folder}"
    if free < min(total * NO_DISK_RATIO, NO_DISK_BYTES):
        return Found(DOWN, f"{text}; make room now: measurements are dropped when it is full")
    if free < min(total * LITTLE_DISK_RATIO, LITTLE_DISK_BYTES):
        return Found(DEGRADED, f"{text}; make room, or keep less: PITSTOP_RETENTION_DAYS")
    return Found(OK, text)


def memory(meminfo: Path = _MEMINFO, group: Path = _GROUP) -> Memory | None:
    """What is left of the tighter of the machine's memory and this container's limit; None where neither is told."""
    found = [one for one in (_of_machine(meminfo), _of_group(group)) if one is not None]
    return min(found, key=lambda one: one.available / one.total, default=None)


def memory_state(left: Memory | None) -> Found:
    """What is left of it, judged."""
    if left is None:
        return Found(NO_DATA, "this system does not tell how much memory is available")
    ratio = left.available / left.total
    text = f"{bytes_text(left.available)} of {bytes_text(left.total)} available to the {left.of} ({ratio_text(ratio)})"
    if ratio < NO_MEMORY_RATIO:
        return Found(DOWN, f"{text}; the kernel is about to kill what takes most")
    if ratio < LITTLE_MEMORY_RATIO:
        return Found(DEGRADED, f"{text}; Runtime shows which worker grows")
    return Found(OK, text)


def _of_machine(meminfo: Path) -> Memory | None:
    """Proc's own estimate of what can be taken without swapping (proc(5), MemAvailable)."""
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text("ascii").splitlines())
        available, total = (int(fields[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    except (OSError, KeyError, ValueError):
        return None
    return Memory(available, total, "machine") if total else None


def _of_group(group: Path) -> Memory | None:
    """The limit of this control group, version 2, less what it holds and cannot give back (cgroup-v2, memory.stat)."""
    try:
        limit = int((group / "memory.max").read_text("ascii"))  # "max" where there is none
        used = int((group / "memory.current").read_text("ascii"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
        cached = int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None
    return Memory(max(0, min(limit, limit - used + cached)), limit, "container") if limit else None
