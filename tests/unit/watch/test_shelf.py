"""Rules of the file, of the dashboard and built in: which counts, and how each stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pitstop.model import NotFoundError, SettingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock, Recorded

    from pitstop.watch.watcher import Watcher

LOG = 'name = "log"\nkind = "log"\nabove = "1GB"\n'


def named(watcher: Watcher, name: str) -> object:
    return next(one for one in watcher.rules() if one.name == name)


def test_what_is_saved_is_known_to_everybody_and_can_be_replaced_and_removed(
    watching: Callable[[str], Watcher], clock: Clock
) -> None:
    one, other = watching(""), watching("")
    assert one.check_rule(LOG).name == "log"
    assert not any(rule.name == "log" for rule in one.rules())
    saved = one.save_rule(LOG, "ann")
    clock.at_s += 3

    assert (saved.source, saved.kind, saved.limit) == ("dashboard", "log", 1e9)
    assert named(other, "log") == saved
    assert saved.text.startswith('[[rule]]\nname = "log"')
    other.save_rule(saved.text.replace("1GB", "2GB"), "bob")
    clock.at_s += 3
    assert named(one, "log").limit == 2e9  # type: ignore[attr-defined]
    one.delete_rule("log", "ann")
    assert not any(rule.name == "log" for rule in one.rules())
    with pytest.raises(NotFoundError, match="no rule 'log'"):
        one.delete_rule("log", "ann")


def test_the_file_comes_first_then_the_dashboard_then_what_is_built_in(
    watching: Callable[[str], Watcher], clock: Clock
) -> None:
    watcher = watching(f"[[rule]]\n{LOG}")
    with pytest.raises(SettingError, match="'log' stands in the rules file; change it there"):
        watcher.save_rule(LOG, "ann")
    with pytest.raises(SettingError, match=r"stands in pitstop-rules\.toml; remove it there"):
        watcher.delete_rule("log", "ann")
    with pytest.raises(SettingError, match="is built in; save one of that name with enabled = false"):
        watcher.delete_rule("no requests", "ann")
    watcher.save_rule('name = "no requests"\nkind = "no_data"\nenabled = false', "ann")
    clock.at_s += 3

    found = [one for one in watcher.rules() if one.name == "no requests"]
    assert [(one.source, one.state) for one in found] == [("dashboard", "off")]
    assert "no requests" not in {rule.name for rule in watcher.evaluator._plan().rules}


def test_objectives_probes_and_maintenance_are_saved_as_well(watching: Callable[[str], Watcher], clock: Clock) -> None:
    watcher = watching("")
    watcher.save_rule('[[slo]]\nname = "answers"\nkind = "availability"\ntarget = 0.9', "ann")
    watcher.save_rule('[[probe]]\nname = "home"\nurl = "http://127.0.0.1:9/"', "ann")
    watcher.save_rule(
        '[[maintenance]]\nname = "nightly"\nfrom = "02:00"\nto = "03:00"\nmatches = {service = "*"}', "ann"
    )
    clock.at_s += 3

    kinds = {one.name: one.kind for one in watcher.rules() if one.source == "dashboard"}
    assert kinds == {"answers": "slo", "home": "probe", "nightly": "maintenance"}
    assert "answers" in {one.name for one in watcher.objectives()}
    assert len(watcher.evaluator._plan().maintenances) == 1
    with pytest.raises(SettingError, match="nothing"):
        watcher.save_rule('[[slo]]\nname = "x"\nkind = "availability"\ntarget = 1', "ann")
    with pytest.raises(SettingError, match="is no address"):
        watcher.check_rule('[[probe]]\nname = "x"\nurl = "nowhere"')


def test_a_change_of_the_file_counts_at_once_and_a_broken_file_turns_nothing_off(
    watching: Callable[[str], Watcher], clock: Clock, tmp_path: Path
) -> None:
    watcher = watching(f"[[rule]]\n{LOG}")
    path = tmp_path / "pitstop-rules.toml"
    assert named(watcher, "log").limit == 1e9  # type: ignore[attr-defined]
    path.write_text(f"[[rule]]\n{LOG}".replace("1GB", "30GB"))
    clock.at_s += 3
    assert named(watcher, "log").limit == 3e10  # type: ignore[attr-defined]
    path.write_text("[[rule")
    clock.at_s += 3

    assert named(watcher, "log").limit == 3e10  # type: ignore[attr-defined]
    assert "is no TOML" in named(watcher, "pitstop-rules.toml").problem  # type: ignore[attr-defined]


def test_what_cannot_be_used_is_shown_with_its_problem(watching: Callable[[str], Watcher]) -> None:
    watcher = watching(
        '[[rule]]\nname = "bad"\nkind = "none"\n[[slo]]\nname = "all"\nkind = "availability"\ntarget = 1\n'
        '[[probe]]\nname = "p"\nurl = "x"\n'
    )
    found = {one.name: one for one in watcher.rules() if one.problem}

    assert set(found) == {"bad", "all", "p"}
    assert "leaves no budget" in found["all"].problem
    assert all(one.state == "no data" for one in found.values())


def test_rules_stand_firing_ones_first_with_their_last_value(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(
        '[[rule]]\nname = "b fires"\nkind = "threshold"\nmetric = "p95"\nabove = 0.5\n'
        '[[rule]]\nname = "a is fine"\nkind = "threshold"\nmetric = "p95"\nabove = 5\n'
        '[[rule]]\nname = "c waits"\nkind = "threshold"\nmetric = "p95"\nabove = 0.5\nfor = "1h"\n'
    )
    recorded.add(int(clock.at_s) - 60, [1.0] * 10)
    clock.at_s += 10
    watcher.evaluator.tick()
    first, second, *_ = watcher.rules()
    fine = named(watcher, "a is fine")

    assert [(one.name, one.state, one.firing, one.pending) for one in (first, second)] == [
        ("b fires", "firing", 1, 0), ("c waits", "pending", 0, 1),
    ]  # fmt: skip
    assert (fine.state, fine.limit, fine.unit) == ("ok", 5.0, "s")  # type: ignore[attr-defined]
    assert fine.value == pytest.approx(1.0, rel=0.011)  # type: ignore[attr-defined]
    assert fine.took_s > 0  # type: ignore[attr-defined]


def test_defaults_can_be_turned_off(watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock) -> None:
    recorded.add(int(clock.at_s) - 60, [1.0])
    assert watching("defaults = false").rules() == []
    assert watching("defaults = false").objectives() == []
    assert {one.name for one in watching("").objectives()} >= {"uptime", "P95", "P99"}


def test_an_objective_of_a_usual_name_takes_its_place_for_its_services(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    for service in ("shop", "billing"):
        recorded.add(int(clock.at_s) - 60, [1.0], service=service)
    text = '[[slo]]\nname = "uptime"\nkind = "availability"\ntarget = 0.9\nservice = "shop"'
    found = [(one.service, one.target) for one in watching(text).objectives() if one.name == "uptime"]

    assert sorted(found) == [("billing", 0.999), ("shop", 0.9)]
