"""Keys whose values are on their way into memory, so that none is kept which was outdated before it arrived."""

from __future__ import annotations

import threading


class _Mark:
    __slots__ = ("holders",)

    def __init__(self) -> None:
        self.holders = 0


class Loading:
    """Whoever loads or makes a value holds a mark of its key; who changes the key meanwhile takes the mark away."""

    def __init__(self) -> None:
        self._marks: dict[str, _Mark] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._marks)

    def begin(self, key: str) -> object:
        """A mark of `key`, shared by all who load it now."""
        with self._lock:
            mark = self._marks.get(key)
            if mark is None:
                mark = self._marks[key] = _Mark()
            mark.holders += 1
            return mark

    def end(self, key: str, mark: object) -> None:
        """Hand the mark back."""
        with self._lock:
            known = self._marks.get(key)
            if known is mark and known is not None:
                known.holders -= 1
                if not known.holders:
                    del self._marks[key]

    def disturb(self, key: str) -> None:
        """What is on its way for `key` is not to be kept."""
        if self._marks:  # whoever begins after this look begins after the change, too
            with self._lock:
                self._marks.pop(key, None)

    def disturb_all(self) -> None:
        """Nothing of what is on its way is to be kept."""
        with self._lock:
            self._marks.clear()

    def undisturbed(self, key: str, mark: object) -> bool:
        """Whether what is on its way may be kept."""
        return self._marks.get(key) is mark

    def reset_after_fork(self) -> None:
        """Nothing is on its way in a child."""
        self._lock = threading.Lock()
        self._marks.clear()
