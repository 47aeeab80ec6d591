"""How much memory this process holds, read from ``/proc``: about 30 µs a reading, no library."""

from __future__ import annotations

_PAGE_FIELDS = (b"RssAnon", b"RssShmem", b"VmSwap")  # what is the process's own; mapped files can be dropped any time


def held() -> int | None:
    """Bytes of its own: anonymous and shared pages, and what of them is swapped out; None without Linux' ``/proc``."""
    try:
        with open("/proc/self/status", "rb") as file:  # noqa: PTH123  pathlib is not imported on the host's path
            status = file.read()
    except OSError:
        return None
    total = found = 0
    for field in _PAGE_FIELDS:
        at = status.find(field)
        if at >= 0:
            found += 1
            total += int(status[at + len(field) + 1 : status.index(b" kB", at)])
    if not found:
        return None
    return total * 1024
