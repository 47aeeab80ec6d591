"""What a running process can be asked from outside: to sample stacks, to empty a cache, to look at its memory.

A part that can answer says so by `can_answer`; ``pitstop profile --pid``, ``pitstop cache`` and the dashboard ask by
`pitstop.record.desk`. Answers are made in a thread of their own, so they may take their time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = Callable[[Mapping[str, Any]], object]

PROFILE = "profile"

ANSWERS: dict[str, Answer] = {}
"""What can be asked, by its name: ``profile``, ``cache.invalidate``, ``memory.look`` …"""


def can_answer(what: str, answer: Answer) -> None:
    """Answer `what` by ``answer(arguments)``, which returns what JSON knows, or raises PitstopError with a reason."""
    ANSWERS[what] = answer


def cannot_answer(what: str) -> None:
    """Answer it no more."""
    ANSWERS.pop(what, None)
