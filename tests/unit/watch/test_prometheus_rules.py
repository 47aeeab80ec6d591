"""Rules as Prometheus has them: promtool takes all of them, and they say what ours say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.watch.objectives import Objective, default_objectives
from pitstop.watch.prometheus_rules import _regex, alert_of, prometheus_rules
from pitstop.watch.rulebook import default_rules, read_rulebook

if TYPE_CHECKING:
    from pathlib import Path

    from pitstop.watch.rules import Rule

_RULE = '[[rule]]\nname = "it"\nkind = "threshold"\n'


def _rule(text: str) -> Rule:
    book = read_rulebook(_RULE + text, "test")
    assert book.problems == ()
    return book.rules[0]


def _check(folder: Path, text: str) -> str:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is missing: scripts/debian")
        pytest.skip("promtool is missing: scripts/debian")
    path = folder / "rules.yml"
    path.write_text(text)
    ran = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_promtool_takes_every_default_rule_and_objective(tmp_path: Path) -> None:
    rules = default_rules().rules
    told = _check(tmp_path, prometheus_rules(rules, default_objectives(["shop"], ["home page"])))
    assert f"SUCCESS: {len(rules) + 4 + 1} rules found" in told  # uptime, P95, P99, probe; and ourselves gone


def test_promtool_takes_every_figure_and_every_filter(tmp_path: Path) -> None:
    figures = ("p50", "p90", "p95", "p99", "mean", "rate", "error_ratio", "count")
    rules = [_rule(f'metric = "{figure}"\nbelow = 3.5\nleast_events = 5') for figure in figures]
    rules.append(
        _rule(
            'metric = "p95"\nabove = "500ms"\nservice = ["shop*", "a.b"]\nroutes = ["POST /pay", "GET /items/{id}"]\n'
            'tenant = ["acme"]\noutcome = ["2??", "[!45]*"]\nby = ["route", "tenant", "outcome"]\n'
            'for = "2m"\nkeep = "0s"'
        )
    )
    named = [rule._replace(name=f'{number} "quoted" {{{{ $x }}}} é\\') for number, rule in enumerate(rules)]
    told = _check(tmp_path, prometheus_rules(named, [Objective('an "slo"', "availability", 0.99, "sh*p")]))
    assert f"SUCCESS: {len(rules) + 2} rules found" in told


def test_a_threshold_waits_and_is_kept_as_ours() -> None:
    alert = alert_of(_rule('metric = "rate"\nabove = 5\nfor = "2m"\nkeep = "10m"\nevery = "1m"\nseverity = "page"'))
    assert (alert.for_s, alert.keep_s, alert.every_s, alert.severity) == (120, 600, 60, "page")
    assert alert.expression.endswith("> 5.0")


@pytest.mark.parametrize(
    "text",
    [
        'metric = "sample:queue depth"\nabove = 5',
        'metric = "p95"\nseries = "db"\nabove = 5',
        'metric = "p95"\nroutes = ["*checkout*"]\nabove = 5',
    ],
)
def test_what_prometheus_cannot_compute_is_what_pitstop_finds(text: str) -> None:
    alert = alert_of(_rule(text + '\nfor = "5m"'))
    assert 'pitstop_alert_firing{rule="it",quiet=""}' in alert.expression
    assert (alert.for_s, alert.keep_s) == (0, 0)  # Pitstop waits itself


def test_objectives_that_never_alert_are_left_out() -> None:
    text = prometheus_rules([], [Objective("quiet", "availability", 0.99, alert=False)])
    assert "budget" not in text
    assert "absent(pitstop_build_info)" in text


@given(st.text(alphabet="ab/*?{}.+^$()|\\-é ", max_size=8), st.text(alphabet="ab/{}.+^$()|\\-é ", max_size=8))
def test_patterns_fit_the_same_texts(pattern: str, text: str) -> None:
    assert bool(re.fullmatch(_regex(pattern), text, re.DOTALL)) == fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text"), [("[ab]x", "ax"), ("[!ab]x", "cx"), ("[", "["), ("a[b", "a[b"), ("[^]x", "^x")]
)
def test_sets_of_signs_fit_the_same_texts(pattern: str, text: str) -> None:
    assert fnmatchcase(text, pattern)
    assert re.fullmatch(_regex(pattern), text)
    assert json.dumps(_regex(pattern))
