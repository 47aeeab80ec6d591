"""How much memory there is: the control group's limit (version 2 or 1), or the machine's.

Used is what cannot be dropped: the group's usage without inactive file pages, as kubelet's working set, which is what
the kernel kills by. Every group up to the root may have a limit; the fullest counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_UP_EVERY: Final = 60  # limits are hardly ever changed
_NO_LIMIT: Final = 1 << 60  # version 1 says "no limit" by a number near 2⁶³


class Room(NamedTuple):
    """`used` of `limit` bytes, by `source`: cgroup or system."""

    used_bytes: int
    limit_bytes: int
    source: str

    @property
    def ratio(self) -> float:
        """The share in use."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0


class _Group(NamedTuple):
    """Files of one control group that has a limit."""

    limit: str
    used: str
    stat: str
    idle: bytes


class Rooms:
    """Reads how much there is; which groups have a limit is looked up again every `LOOK_UP_EVERY` readings."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._groups: list[_Group] = []
        self._readings = 0

    def __call__(self) -> Room | None:
        """The fullest limit that this process is under; None where the system tells nothing."""
        if not self._readings % LOOK_UP_EVERY:
            self._groups = list(_groups(self._root))
        self._readings += 1
        found = [one for one in (*map(_read_group, self._groups), _system(self._root)) if one is not None]
        return max(found, key=lambda one: one.ratio, default=None)


def _read_group(group: _Group) -> Room | None:
    limit, used = _number(group.limit), _number(group.used)
    if limit is None or used is None or not 0 < limit < _NO_LIMIT:
        return None
    return Room(max(0, used - _field(_text(group.stat), group.idle)), limit, "cgroup")


def _groups(root: Path) -> Iterator[_Group]:
    """Of this process, those that have a limit, and those above them."""
    for line in _text(f"{root}/proc/self/cgroup").decode().splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            for base in (root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"):
                yield from _up(base, path, "memory.max", "memory.current", b"inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            yield from _up(base, path, "memory.limit_in_bytes", "memory.usage_in_bytes", b"total_inactive_file")


def _up(base: Path, path: str, limit: str, used: str, idle: bytes) -> Iterator[_Group]:
    """The group and those above it; in a container the path is often not there, and the mount is the group."""
    folder = base / path.lstrip("/")
    for each in (folder, *folder.parents):
        group = _Group(f"{each}/{limit}", f"{each}/{used}", f"{each}/memory.stat", idle)
        if _read_group(group) is not None:
            yield group
        if each == base:
            break


def _system(root: Path) -> Room | None:
    text = _text(f"{root}/proc/meminfo")
    total, available = _field(text, b"MemTotal:"), _field(text, b"MemAvailable:")
    return Room((total - available) * 1024, total * 1024, "system") if total else None


def _text(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  a third of what pathlib takes, every second
            return file.read()
    except OSError:
        return b""


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _field(text: bytes, name: bytes) -> int:
    """The number after `name` at the beginning of a line; 0 where there is none."""
    at = 0 if text.startswith(name) else text.find(b"\n" + name) + 1
    if not text.startswith(name, at):
        return 0
    words = text[at : at + 80].split(None, 2)
    return int(words[1]) if len(words) > 1 and words[0] == name and words[1].isdigit() else 0
