"""One task of a graph: what is run, after what, for how long at most, and what a failure of it means.

Results reach a task as pytest's fixtures and Hamilton's nodes do it: by the name of a parameter. A function says what
it takes, works without this module, and what does not fit is found before anything starts.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OnFailure = Literal["contain", "skip", "cancel"]
CONTAIN: Final = "contain"
SKIP: Final = "skip"
CANCEL: Final = "cancel"
ON_FAILURE: Final = (CONTAIN, SKIP, CANCEL)
"""What becomes of the rest when a task has no result.

``contain``: its dependents run all the same and get its `default`. ``skip``: its dependents are skipped, and theirs;
all others run. ``cancel``: nothing more starts, and what runs is cancelled.
"""

MOST_RETRIES = 100


@dataclass(frozen=True, slots=True)
class Task:
    """``Task("total", add_up, needs=["basket", "prices"], timeout_s=2)``: `add_up(basket, prices)` when both are there.

    `function` may be plain or async. A plain one runs in a thread, with the caller's context; an `inline` one where the
    scheduler runs, for glue that takes microseconds (it holds up every other task).
    `needs` names tasks that have to end before. The result of each is passed as the parameter of its name; a mapping
    says which parameter gets what: ``{"rows": "load products"}``. A function with ``**results`` gets all of them; a
    need that no parameter is named after only orders. Arguments of your own: `functools.partial` or a lambda.

    `timeout_s` is for each attempt, from the moment it is started. An async task is cancelled then. **A thread cannot
    be ended by anybody**: a plain task is left to itself, its result is thrown away, and `TaskResult.abandoned` says
    so; give what it calls a timeout of its own.
    `retries` more attempts follow where it raises one of `retry_on` or times out, after `retry_delay_s`, twice as long
    each time (30 s at the most), give or take a half so that many do not come back at once.
    `on_failure` is one of `ON_FAILURE`, the run's own where it is None.

    Raises SettingError for a value that cannot be used.
    """

    name: str
    function: Callable[..., Any]
    needs: Sequence[str] | Mapping[str, str] = ()
    timeout_s: float | None = None
    retries: int = 0
    retry_delay_s: float = 0.1
    retry_on: type[BaseException] | tuple[type[BaseException], ...] = Exception
    on_failure: OnFailure | None = None
    default: object = None
    inline: bool = False

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise SettingError(f"a task's name is {self.name!r}: give it some text, it becomes a series")
        if not callable(self.function):
            raise SettingError(f"task '{self.name}' has {self.function!r:.80} for a function, which cannot be called")
        if isinstance(self.needs, str):
            raise SettingError(f"task '{self.name}' needs '{self.needs}', which is text: write needs=['{self.needs}']")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise SettingError(f"task '{self.name}' has timeout_s={self.timeout_s}: write more than 0, or None")
        if not 0 <= self.retries <= MOST_RETRIES:
            raise SettingError(f"task '{self.name}' has retries={self.retries}: write 0 … {MOST_RETRIES}")
        if not self.retry_delay_s >= 0:
            raise SettingError(f"task '{self.name}' has retry_delay_s={self.retry_delay_s}: write 0 or more")
        if self.on_failure is not None:
            check_policy(self.on_failure, f"task '{self.name}'")
        if self.inline and is_async(self.function):
            raise SettingError(f"task '{self.name}' is async, which needs no thread: leave inline out")


def check_policy(policy: str, of: str) -> None:
    """Raises SettingError where `policy` is none of `ON_FAILURE`."""
    if policy not in ON_FAILURE:
        raise SettingError(f"{of} has on_failure='{policy}': write one of {', '.join(ON_FAILURE)}")


def is_async(function: object) -> bool:
    """Whether calling `function` makes a coroutine: an async function or method, a partial or an object of one."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, FunctionType) and not function.__dict__:  # nothing marks it as something else
        return bool(function.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  its code is asked for


class Takes(NamedTuple):
    """Parameters of a function by name; `needed` have no default, `everything`: it has ``**results``."""

    names: frozenset[str]
    needed: frozenset[str]
    everything: bool


def takes(function: object) -> Takes:
    """What `function` can be given by name. One that does not say, as some of C do, takes nothing."""
    bound = isinstance(function, MethodType)
    plain = function.__func__ if isinstance(function, MethodType) else function
    if isinstance(plain, FunctionType) and "__wrapped__" not in plain.__dict__:
        return _by_code(plain, int(bound))
    try:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]  # checked by `Task`
    except (TypeError, ValueError):
        return Takes(frozenset(), frozenset(), everything=False)
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    unnamed = {one.name for one in parameters if one.kind is one.POSITIONAL_ONLY and one.default is one.empty}
    return Takes(
        frozenset(one.name for one in named),
        frozenset(one.name for one in named if one.default is one.empty) | unnamed,
        any(one.kind is one.VAR_KEYWORD for one in parameters),
    )


def _by_code(function: FunctionType, skipped: int) -> Takes:
    """The same without `inspect.signature`, which takes longer than starting the task does."""
    code = function.__code__
    positional, by_position = code.co_argcount, code.co_posonlyargcount
    after = positional + code.co_kwonlyargcount
    names = code.co_varnames
    optional = positional - len(function.__defaults__ or ())
    keyword_defaults = function.__kwdefaults__ or {}
    needed = {*names[skipped:optional], *(name for name in names[positional:after] if name not in keyword_defaults)}
    everything = bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return Takes(frozenset(names[max(skipped, by_position) : after]), frozenset(needed), everything)
