"""Which operation a sampled thread works for, read from the stacks of our own adapters: the hot path pays nothing.

A few functions hold the operation, or the context it is current in, in a local variable. The one nearest to the top of
a stack says whom it works for. Reading another thread's local is safe in CPython while the reader holds the global
interpreter lock: `frame.f_locals` copies references to a dictionary (3.11, 3.12), or reads through (3.13, PEP 667).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.record.operation import CURRENT, Operation

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

_COPIES = sys.version_info < (3, 13)  # f_locals is a dictionary that stays with the frame, and so does what is in it


def _itself(value: Any) -> Operation | None:
    return value if isinstance(value, Operation) else None


def _in_context(value: Any) -> Operation | None:
    found: Operation | None = value.get(CURRENT)
    return found


def _in_handle(value: Any) -> Operation | None:
    found: Operation | None = value._context.get(CURRENT)  # noqa: SLF001  there since 3.7, and nothing public says it
    return found


def _in_bound_run(value: Any) -> Operation | None:
    return _in_context(value.__self__)


class Owner(NamedTuple):
    """A function whose local `name` leads to the operation. Holds the code, so that its id is not given to another."""

    code: CodeType
    name: str
    read: Callable[[Any], Operation | None]


OWNERS: dict[int, Owner] = {}
"""By the id of the code: hashing code objects costs microseconds."""

_FOREIGN: dict[str, tuple[str, str, Callable[[Any], Operation | None]]] = {
    "asyncio.events": ("Handle._run", "self", _in_handle),
    "anyio._backends._asyncio": ("WorkerThread.run", "context", _in_context),
    "asgiref.sync": ("SyncToAsync.thread_handler", "func", _in_bound_run),
}
"""Functions of others that run what they are given in a context: module, function, local."""

_found: set[str] = set()


def owned(function: Callable[..., object], name: str, attribute: str = "") -> None:
    """Say that the local `name` of `function` is an operation while what it calls runs for that.

    With `attribute` it is that attribute of the local.
    """
    owned_code(function.__code__, name, attribute)


def owned_code(code: CodeType, name: str, attribute: str = "") -> None:
    """The same, of the code of a function that is made anew again and again."""
    read = (lambda value: _itself(getattr(value, attribute, None))) if attribute else _itself
    OWNERS[id(code)] = Owner(code, name, read)


def find_foreign() -> bool:
    """Take in what the host has imported since; whether there was anything new."""
    found = False
    for module, (path, name, read) in _FOREIGN.items():
        if module in _found or module not in sys.modules:
            continue
        _found.add(module)
        value: Any = sys.modules[module]
        try:
            for part in path.split("."):
                value = getattr(value, part)
            code = value.__code__
            OWNERS[id(code)] = Owner(code, name, read)
            found = True
        except AttributeError:  # half imported, or of a version that has no such function
            if getattr(sys.modules[module].__spec__, "_initializing", False):
                _found.discard(module)
    return found


def owner_of(frame: FrameType) -> Operation | None:
    """The operation that `frame`, of a function in `OWNERS`, works for."""
    owner = OWNERS.get(id(frame.f_code))
    if owner is None:
        return None
    variables = frame.f_locals
    try:
        value = variables.get(owner.name)
        return None if value is None else owner.read(value)
    except Exception:  # noqa: BLE001  of another version than we know
        return None
    finally:
        if _COPIES:  # what the function has let go of must not live on in the copy
            variables.clear()


def running_task_of(loop: Any) -> Operation | None:
    """The operation of the task that `loop` runs at this moment. Tasks tell their context from Python 3.12 on."""
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio.current_task(loop) if asyncio is not None else None
        return None if task is None else task.get_context().get(CURRENT)
    except Exception:  # noqa: BLE001  3.11, or a task of another kind
        return None
