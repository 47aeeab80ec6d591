"""What was running, seen in sampled stacks: flame graph, functions by time, and what changed between two windows.

A stack stands for `weight_ns`; modes are never mixed, because a second of waiting and one of computing differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.stack_tree import StackTree

if TYPE_CHECKING:
    from pitstop.model import Profiles, Store, Window

MODES = ("wall", "cpu", "blocked")
LEAST_RATIO = 0.001  # of the whole: what is narrower is less than 2 pixels of 1,600
REST = "(rest)"  # children too narrow to be drawn, added up


class FlameNode(NamedTuple):
    """One frame below those above it. `total_s` is with what it called, `self_s` without; seconds of sampled time.

    `children` stand by name. The root is named ``all``.
    """

    name: str
    self_s: float
    total_s: float
    samples: int
    children: tuple[FlameNode, ...]


class FlameGraph(NamedTuple):
    """All stacks of one mode in a window. `frames` is how many nodes the tree has, `stacks` how many were given."""

    root: FlameNode
    mode: str
    samples: int
    total_s: float
    stacks: int
    frames: int


class FunctionRow(NamedTuple):
    """One function over all stacks; recursion counts once. Ratios are shares of all sampled time."""

    name: str
    self_s: float
    total_s: float
    self_ratio: float
    total_ratio: float
    samples: int


class DiffNode(NamedTuple):
    """One frame in two windows, as shares of each window's own total: load may differ, shares compare.

    `delta_ratio` is `ratio` − `before_ratio`, of total time; `self_delta_ratio` the same of its own.
    """

    name: str
    ratio: float
    before_ratio: float
    delta_ratio: float
    self_delta_ratio: float
    children: tuple[DiffNode, ...]


class ProfileDiff(NamedTuple):
    """Two windows compared: the tree, and the functions whose own share changed, the largest change first."""

    root: DiffNode
    functions: tuple[FunctionDelta, ...]
    total_s: float
    before_total_s: float


class FunctionDelta(NamedTuple):
    """A function's own share of all sampled time now and before."""

    name: str
    self_ratio: float
    before_self_ratio: float
    delta_ratio: float


class ProfileFound(NamedTuple):
    """What a search in a profile found: names that contain the text, and the time below them, counted once."""

    names: tuple[str, ...]
    total_s: float
    ratio: float


def profiles(
    store: Store, window: Window, service: str | None = None, route: str | None = None, mode: str = "wall"
) -> Profiles:
    """Stacks of one mode, for the questions below: ask the store once for all of them."""
    return store.profiles(window, service=service, route=route, mode=mode)


def flame_graph(found: Profiles, *, least_ratio: float = LEAST_RATIO) -> FlameGraph:
    """The tree of `found`; what is narrower than `least_ratio` of the whole is added up as `REST`."""
    tree = StackTree(found)
    totals_ns = tree.totals(tree.own_ns[0])
    samples = tree.totals(tree.samples)
    least_ns = least_ratio * totals_ns[0]
    below: list[list[FlameNode]] = [[] for _ in tree.names]
    rest: list[list[int]] = [[0, 0] for _ in tree.names]  # time and samples
    frames = 0
    for place in range(len(tree.names) - 1, -1, -1):  # children before parents
        parent = tree.parents[place]
        if place and totals_ns[place] < least_ns:
            rest[parent][0] += totals_ns[place]
            rest[parent][1] += samples[place]
            continue
        children = sorted(below[place])
        if rest[place][1]:
            rest_s = rest[place][0] / 1e9
            children.append(FlameNode(REST, rest_s, rest_s, rest[place][1], ()))
        frames += 1
        node = FlameNode(
            tree.names[place], tree.own_ns[0][place] / 1e9, totals_ns[place] / 1e9, samples[place], tuple(children)
        )
        if place:
            below[parent].append(node)
    return FlameGraph(node, found.mode[0] if len(found) else "", samples[0], totals_ns[0] / 1e9, len(found), frames)


def top_functions(found: Profiles) -> list[FunctionRow]:
    """Every function, the one with most time of its own first."""
    own: dict[str, int] = {}
    whole: dict[str, int] = {}
    samples: dict[str, int] = {}
    total_ns = sum(found.weight_ns)
    for stack, number, weight_ns in zip(found.stack, found.samples, found.weight_ns, strict=True):
        if not stack:  # nothing of the host's was running
            continue
        frames = stack.split(";")
        own[frames[-1]] = own.get(frames[-1], 0) + weight_ns
        for name in set(frames):
            whole[name] = whole.get(name, 0) + weight_ns
            samples[name] = samples.get(name, 0) + number
    divisor = total_ns or 1
    rows = [
        FunctionRow(
            name, own.get(name, 0) / 1e9, all_ns / 1e9, own.get(name, 0) / divisor, all_ns / divisor, samples[name]
        )
        for name, all_ns in whole.items()
    ]
    return sorted(rows, key=lambda row: (-row.self_s, -row.total_s, row.name))


def profile_diff(now: Profiles, before: Profiles, *, least_ratio: float = LEAST_RATIO) -> ProfileDiff:
    """What changed from `before` to `now`, as shares of each one's total time."""
    tree = StackTree(now, before)
    totals = [tree.totals(own_ns) for own_ns in tree.own_ns]
    divisors = [total[0] or 1 for total in totals]
    below: list[list[DiffNode]] = [[] for _ in tree.names]
    for place in range(len(tree.names) - 1, -1, -1):
        ratio, was = (total[place] / divisor for total, divisor in zip(totals, divisors, strict=True))
        if place and max(ratio, was) < least_ratio:
            continue
        own, own_was = (own_ns[place] / divisor for own_ns, divisor in zip(tree.own_ns, divisors, strict=True))
        node = DiffNode(tree.names[place], ratio, was, ratio - was, own - own_was, tuple(sorted(below[place])))
        if place:
            below[tree.parents[place]].append(node)
    functions = [{row.name: row.self_ratio for row in top_functions(found)} for found in (now, before)]
    deltas = [
        FunctionDelta(name, ratio, was, ratio - was)
        for name, ratio, was in (
            (name, functions[0].get(name, 0.0), functions[1].get(name, 0.0))
            for name in {**functions[0], **functions[1]}
        )
        if ratio != was
    ]
    deltas.sort(key=lambda delta: (-abs(delta.delta_ratio), delta.name))
    return ProfileDiff(node, tuple(deltas), totals[0][0] / 1e9, totals[1][0] / 1e9)


def profile_search(found: Profiles, text: str) -> ProfileFound:
    """Frames whose name contains `text`, whatever the case, and the time of all stacks that have one."""
    wanted = text.casefold()
    names: set[str] = set()
    hit_ns = 0
    for stack, weight_ns in zip(found.stack, found.weight_ns, strict=True):
        if wanted in stack.casefold():
            hits = [name for name in stack.split(";") if wanted in name.casefold()]
            names.update(hits)
            hit_ns += weight_ns if hits else 0
    whole_ns = sum(found.weight_ns)
    return ProfileFound(tuple(sorted(names)), hit_ns / 1e9, hit_ns / whole_ns if whole_ns else 0.0)
