"""Tasks as a graph: checked before anything starts, with the wave of each and what it gives to whom.

A task's wave is 1 + the highest of those it needs: the earliest round in which it can run, if rounds were kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.tune.waves.task import Task, is_async, takes

if TYPE_CHECKING:
    from collections.abc import Iterable


class Graph:
    """Tasks by place. Raises SettingError for names given twice, unknown needs, circles, and parameters nobody fills.

    `needs[i]` are the places of what task i needs, `dependents[i]` of what needs it, `waves[i]` is its wave, from 1.
    `heights[i]` is how many tasks the longest way from it to the end has. `inputs[i]` are parameters and the place
    whose result each gets. `native[i]`: it is async. Linear in tasks and needs.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = tuple(tasks)
        self.places: dict[str, int] = {}
        for place, task in enumerate(self.tasks):
            if not isinstance(task, Task):
                raise SettingError(f"{task!r:.80} is no Task: write Task(name, function, needs=[…])")
            if self.places.setdefault(task.name, place) != place:
                raise SettingError(f"two tasks are named '{task.name}': results go by name, so give each its own")
        self.native = [is_async(task.function) for task in self.tasks]
        self.needs: list[tuple[int, ...]] = []
        self.inputs: list[list[tuple[str, int]]] = []
        self.dependents: list[list[int]] = [[] for _ in self.tasks]
        for place, task in enumerate(self.tasks):
            wanted = _wanted(task)
            found = tuple({self._place(task, need): None for _, need in wanted})
            self.needs.append(found)
            self.inputs.append(self._inputs(task, wanted))
            for need in found:
                self.dependents[need].append(place)
        self.waves, self.heights = self._levels()

    def __len__(self) -> int:
        return len(self.tasks)

    def _place(self, task: Task, need: str) -> int:
        place = self.places.get(need)
        if place is None:
            like = get_close_matches(str(need), self.places, 1)
            meant = f": did you mean '{like[0]}'?" if like else f"; there are {', '.join(self.places)}"
            raise SettingError(f"task '{task.name}' needs '{need}', which is no task{meant:.400}")
        return place

    def _inputs(self, task: Task, wanted: list[tuple[str, str]]) -> list[tuple[str, int]]:
        """Which parameters get which results. Raises SettingError for one that stays empty."""
        names, needed, everything = takes(task.function)
        given = {name for name, _ in wanted}
        empty = needed - (given & names)
        if empty:
            name = min(empty)
            raise SettingError(
                f"the function of task '{task.name}' takes '{name}', which none of its needs is named after: write "
                f"needs={{'{name}': 'the task'}}, or functools.partial for a value of your own"
            )
        if isinstance(task.needs, Mapping) and not everything and given - names:
            raise SettingError(
                f"needs of task '{task.name}' name the parameter '{min(given - names)}', which its function has not"
            )
        return [(name, self.places[need]) for name, need in wanted if everything or name in names]

    def _levels(self) -> tuple[list[int], list[int]]:
        """Waves and heights, from an order in which needs come first. Raises SettingError for a circle."""
        waiting = [len(needs) for needs in self.needs]
        order = [place for place, number in enumerate(waiting) if not number]
        waves = [1] * len(self.tasks)
        for place in order:  # grows while it is walked
            for dependent in self.dependents[place]:
                waves[dependent] = max(waves[dependent], waves[place] + 1)
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    order.append(dependent)
        if len(order) < len(self.tasks):
            raise SettingError(
                f"tasks need one another in a circle: {self._circle(waiting)}; none of them can be first"
            )
        heights = [1] * len(self.tasks)
        for place in reversed(order):
            heights[place] = 1 + max((heights[one] for one in self.dependents[place]), default=0)
        return waves, heights

    def _circle(self, waiting: list[int]) -> str:
        place = next(place for place, number in enumerate(waiting) if number)
        way: dict[int, None] = {}
        while place not in way:
            way[place] = None
            place = next(need for need in self.needs[place] if waiting[need])
        circle = [*way][[*way].index(place) :]
        return " needs ".join(f"'{self.tasks[one].name}'" for one in [*circle, place])


def _wanted(task: Task) -> list[tuple[str, str]]:
    """Parameter and task of each need."""
    if isinstance(task.needs, Mapping):
        return list(task.needs.items())
    return [(need, need) for need in task.needs]
