"""Whatever happens, whoever should hear of it does, once, and hears of its end."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model.watching import Silence
from pitstop.watch.conditions.reading import Reading
from pitstop.watch.groups import Grouping
from pitstop.watch.incidents import Looked
from pitstop.watch.mute import Muting
from pitstop.watch.rules import Rule
from pitstop.watch.step import State, step

GROUPING = Grouping(("rule",), 30, 120, 1800)
RULES = [Rule(f"rule {i}", "threshold", above=1.0, for_s=30 * i, keep_s=60, every_s=30) for i in range(2)]
LABELS = ("a", "b")

pasts = st.lists(
    st.fixed_dictionaries({(rule.name, label): st.booleans() for rule in RULES for label in LABELS}),
    min_size=5,
    max_size=60,
)
quiets = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 40), st.integers(1, 20)), max_size=2)


@settings(max_examples=100, deadline=None)
@given(pasts, quiets)
def test_each_incident_is_told_once_it_fires_long_enough_and_its_end_once(
    past: list[dict[tuple[str, str], bool]], quiet: list[tuple[str, int, int]]
) -> None:
    silences = [
        Silence(i, {"service": label}, "ann", "x", begin * 30, (begin + length) * 30)
        for i, (label, begin, length) in enumerate(quiet)
    ]
    state = State()
    said: dict[str, list[str]] = defaultdict(list)
    audible_s: dict[str, float] = defaultdict(float)
    calm = [dict.fromkeys(past[0], False)] * 30
    for i, hot in enumerate([*past, *calm]):
        looks = [
            Looked(rule, i * 30, [reading(rule, label, hot=hot[rule.name, label]) for label in LABELS])
            for rule in RULES
        ]
        for later_s in (5, 10, 20):
            now_s = i * 30 + later_s
            done = step(state, looks if later_s == 5 else [], now_s, muting=Muting(silences), grouping=GROUPING)
            state = done.state
            for key, moment in done.moments:
                if moment.what.startswith("notified"):
                    said[key].append(moment.what)
            audible_s = defaultdict(float, {key: heard_s for key, heard_s in audible_s.items() if key in state.open})
            for key, one in state.open.items():
                heard = one.incident.state == "firing" and not one.incident.silenced
                audible_s[key] = audible_s[key] + 10 if heard else 0.0
                told = any(key in group.told for group in state.groups.values())
                assert told or audible_s[key] <= GROUPING.wait_s + GROUPING.interval_s + 30
            assert not step(state, [], now_s, muting=Muting(silences), grouping=GROUPING).notifications
    for words in said.values():
        # told of its beginning, perhaps again, then of its end; and so on
        assert words[0] == "notified"
        assert words[-1] == "notified of its end"
        for before, after in pairwise(words):
            assert (after == "notified") == (before == "notified of its end")
    assert state == State({}, {}, {})


def reading(rule: Rule, label: str, *, hot: bool) -> Reading:
    return Reading({"service": label}, hot, not hot, 2.0 if hot else 0.5, rule.limit, "s", "it is")
