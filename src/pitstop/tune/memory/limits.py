"""How much memory there is: the control group's limit (version 2 or 1), or the machine's.

Used is what cannot be dropped: the group's usage without inactive file pages, as kubelet's working set, which is what
the kernel kills by. Every group up to the root may have a limit; the fullest counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_NO_LIMIT = 1 << 60  # version 1 says "no limit" by a number near 2⁶³


class Room(NamedTuple):
    """`used` of `limit` bytes, by `source`: cgroup or system."""

    used_bytes: int
    limit_bytes: int
    source: str

    @property
    def ratio(self) -> float:
        """The share in use."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0


def room(root: Path = Path("/")) -> Room | None:
    """The fullest limit that this process is under; None where the system tells nothing."""
    found = [*_groups(root), *_system(root)]
    return max(found, key=lambda one: one.ratio, default=None)


def _groups(root: Path) -> list[Room]:
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            for base in (root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"):
                found += _up(base, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            found += _up(base, path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return found


def _up(base: Path, path: str, limit_name: str, used_name: str, idle_name: str) -> list[Room]:
    """Of the group and those above it; in a container the path is often not there, and the mount is the group."""
    found = []
    folder = base / path.lstrip("/")
    for group in (folder, *folder.parents):
        limit, used = _number(group / limit_name), _number(group / used_name)
        if limit is not None and used is not None and 0 < limit < _NO_LIMIT:
            idle = _field(_text(group / "memory.stat"), idle_name)
            found.append(Room(max(0, used - idle), limit, "cgroup"))
        if group == base:
            break
    return found


def _system(root: Path) -> list[Room]:
    text = _text(root / "proc/meminfo").replace(":", " ")
    total, available = _field(text, "MemTotal"), _field(text, "MemAvailable")
    return [Room((total - available) * 1024, total * 1024, "system")] if total else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return 0
