"""What a condition saw: one value with its limit, for one set of labels; and what it may ask of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

SECONDS = "s"
RATIO = "ratio"
BYTES = "bytes"
PER_S = "/s"
NUMBER = ""


class Reading(NamedTuple):
    """`hot`: the condition holds. `calm`: it is clearly gone. Neither: between the limit and the value that clears it.

    `labels` come on top of ``rule`` and ``severity``. `text` is one sentence for a person. `severity` ``""``: the
    rule's.
    """

    labels: Mapping[str, str]
    hot: bool
    calm: bool
    value: float | None
    limit: float | None
    unit: str
    text: str
    severity: str = ""


class Condition(Protocol):
    """Asks `sight` only, so that the same moment gives the same readings live and replayed."""

    def __call__(self, rule: Rule, sight: Sight) -> Sequence[Reading]:
        """Every set of labels that the rule is about, at `sight.at_s`. Raises StoreError when it cannot be read."""
        ...


class Kind(NamedTuple):
    """One kind of rule: what it reads, the keys it takes besides those of every rule, and what they are by default.

    `metrics` are the values that the key `metric` may have; a last one that ends with a colon takes any name after it.
    `needs` are keys that have to be given, `either` those of which one has to be.
    """

    name: str
    read: Condition
    about: str
    keys: frozenset[str] = frozenset()
    defaults: Mapping[str, object] = {}
    metrics: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
