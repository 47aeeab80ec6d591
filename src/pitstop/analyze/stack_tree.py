"""Folded stacks as a tree, in flat columns: a parent stands before its children, so that no stack is too deep."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pitstop.model import Profiles

ALL = "all"


class StackTree:
    """The stacks of some profiles over one another. Place 0 is the root; `own_ns[k][place]` is the time of profile `k`.

    `samples` are those of the first profile. A node takes about 200 bytes.
    """

    def __init__(self, *profiles: Profiles) -> None:
        self.names = [ALL]
        self.parents = [0]
        self.own_ns: list[list[int]] = [[0] for _ in profiles]
        self.samples = [0]
        self._places: dict[tuple[int, str], int] = {}
        for number, profile in enumerate(profiles):
            own_ns = self.own_ns[number]
            for stack, samples, weight_ns in zip(profile.stack, profile.samples, profile.weight_ns, strict=True):
                place = self._grown(stack)
                own_ns[place] += weight_ns
                if not number:
                    self.samples[place] += samples

    def totals(self, own: list[int]) -> list[int]:
        """`own` of every place with all that is below it."""
        out = own.copy()
        for place in range(len(out) - 1, 0, -1):
            out[self.parents[place]] += out[place]
        return out

    def _grown(self, stack: str) -> int:
        place, places = 0, self._places
        for name in stack.split(";") if stack else ():
            key = (place, name)
            found = places.get(key)
            if found is None:
                found = places[key] = len(self.names)
                self.names.append(name)
                self.parents.append(place)
                self.samples.append(0)
                for own_ns in self.own_ns:
                    own_ns.append(0)
            place = found
        return place
