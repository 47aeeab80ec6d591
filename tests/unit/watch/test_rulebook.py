"""The rules file: every key, and what is said about one that cannot be used."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model import SettingError
from pitstop.watch.conditions import KINDS
from pitstop.watch.groups import Grouping
from pitstop.watch.mute import Inhibit, Maintenance
from pitstop.watch.rulebook import default_rules, load_rulebook, read_rulebook, single
from pitstop.watch.rules import amount, length_s, parse_rule
from pitstop.watch.toml import table_text

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
[group]
by = ["service"]
wait = "10s"
interval = "2m"
repeat = "1h"

[[rule]]
name = "checkout is slow"
kind = "threshold"
metric = "p95"
series = "http"
service = "sh*"
routes = ["POST /checkout"]
tenant = "acme"
outcome = ["2*", "3*"]
above = "500ms"
clear = 0.4
over = "5m"
every = "30s"
for = "2m"
keep = "10m"
least_events = 20
severity = "page"
depends_on = ["store*"]
by = ["service", "route"]
summary = "The checkout is slow."

[[slo]]
name = "answers"
kind = "availability"
target = 0.99

[[probe]]
name = "home page"
url = "https://example.org/"

[[channel]]
name = "ops"
kind = "webhook"
url = "https://example.org/"

[[inhibit]]
source = { severity = "page" }
target = { severity = "ticket" }
equal = ["service"]

[[maintenance]]
name = "nightly"
days = ["sun"]
from = "02:00"
to = "04:00"
matches = { service = "shop" }
"""


def test_everything_that_a_file_may_have_is_read() -> None:
    book = read_rulebook(WHOLE, "rules.toml")
    [rule] = book.rules

    assert book.problems == ()
    assert book.grouping == Grouping(("service",), 10, 120, 3600)
    assert (rule.above, rule.clear, rule.over_s, rule.every_s, rule.for_s, rule.keep_s) == (0.5, 0.4, 300, 30, 120, 600)
    assert (rule.service, rule.routes, rule.tenant, rule.outcome) == (
        ("sh*",), ("POST /checkout",), ("acme",), ("2*", "3*"),
    )  # fmt: skip
    assert (rule.by, rule.depends_on, rule.severity, rule.least_events) == (("route",), ("store*",), "page", 20)
    assert rule.summary == "The checkout is slow."
    assert [(entry.what, entry.name) for entry in book.entries] == [
        ("slo", "answers"), ("probe", "home page"), ("channel", "ops"),
    ]  # fmt: skip
    assert book.inhibits == (Inhibit({"severity": "page"}, {"severity": "ticket"}, ("service",)),)
    [window] = book.maintenances
    assert window[:5] == Maintenance("nightly", (6,), 120, 240, {"service": "shop"})[:5]


def test_a_rule_written_down_again_is_the_same_rule() -> None:
    [rule] = read_rulebook(WHOLE, "rules.toml").rules
    [again] = read_rulebook(rule.text, "rules.toml").rules

    assert again == rule


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('kind = "threshold"', "has no name"),
        ('name = "a"', "kind '' is none; there are threshold, burn_rate, anomaly"),
        ('name = "a"\nkind = "thresh"', "kind 'thresh' is none"),
        ('name = "a"\nkind = "threshold"\nabove = 1', "needs 'metric'"),
        ('name = "a"\nkind = "threshold"\nmetric = "p95"', "needs one of above, below"),
        ('name = "a"\nkind = "threshold"\nmetric = "p95"\nabove = 1\nbelow = 2', "exclude one another"),
        ('name = "a"\nkind = "threshold"\nmetric = "p42"\nabove = 1', "metric 'p42' is none of p50, p90"),
        ('name = "a"\nkind = "threshold"\nmetric = "sample:"\nabove = 1', "metric 'sample:' is none"),
        ('name = "a"\nkind = "threshold"\nmetric = "p95"\nabove = 1\nclear = 2', "lies beyond the limit"),
        ('name = "a"\nkind = "log"\nroutes = ["x"]', "kind log has no 'routes'; it has above, clear"),
        ('name = "a"\nkind = "log"\nabove = "1 parsec"', "is no figure; write a number, or one with"),
        ('name = "a"\nkind = "log"\nfor = "soon"', "'soon' is no length of time"),
        ('name = "a"\nkind = "log"\nevery = "15s"', "whole steps of 10 s"),
        ('name = "a"\nkind = "log"\nevery = 5', "no length of at least 10 s"),
        ('name = "a"\nkind = "log"\nseverity = "panic"', "is none of page, ticket, info"),
        ('name = "a"\nkind = "log"\nenabled = "no"', "neither true nor false"),
        ('name = "a"\nkind = "log"\nsummary = 7', "is no text"),
        ('name = "a"\nkind = "log"\ndepends_on = []', "is no list of texts"),
        ('name = "a\\nb"\nkind = "log"', "is no line of at most 120"),
        ('name = "a"\nkind = "finding"', "needs 'finding'"),
        ('name = "a"\nkind = "finding"\nfinding = "gold"', "is none of n_plus_one, new_error, health"),
        ('name = "a"\nkind = "threshold"\nmetric = "p95"\nabove = 1\nby = ["colour"]', "'colour' is none of service"),
        ('name = "a"\nkind = "threshold"\nmetric = "p95"\nabove = 1\nleast_events = -1', "is no whole number"),
        ('name = "a"\nkind = "threshold"\nmetric = "p95"\nabove = true', "is no figure"),
    ],
)
def test_a_bad_rule_says_what_is_wrong_and_takes_no_other_with_it(entry: str, problem: str) -> None:
    good = '[[rule]]\nname = "good"\nkind = "log"\n'
    book = read_rulebook(f"{good}[[rule]]\n{entry}\n", "rules.toml")

    assert [rule.name for rule in book.rules] == ["good"]
    [found] = book.problems
    assert problem in found.problem
    assert found.name in {"a", "a\nb", "rule 2 of rules.toml"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]\n", "is no TOML"),
        ("[servers]\n", "'servers' is no part of a rules file; there are group"),
        ('[group]\nwiat = "1s"\n', "[group] has no 'wiat'; it has by, wait, interval, repeat"),
        ('[group]\ninterval = "0s"\n', "no length of at least 1 s"),
        ("group = 3\n", "[group] is no table"),
        ("rule = 3\n", "[[rule]] is no table"),
        ("defaults = 1\n", "neither true nor false"),
        ('[[inhibit]]\nsource = { a = "1" }\n', "names no label"),
        ('[[inhibit]]\nsource = { a = 1 }\ntarget = { a = "1" }\n', "is no label with a pattern"),
        ('[[inhibit]]\nfrom = { a = "1" }\n', "has no 'from'"),
        ('[[maintenance]]\nname = "n"\nfrom = "02:00"\nto = "04:00"\n', "names no label"),
        ('[[maintenance]]\nname = "n"\nfrom = "2h"\nto = "04:00"\nmatches = { a = "1" }\n', "no time of the day"),
        ('[[maintenance]]\nname = "n"\nfrom = "24:30"\nto = "04:00"\nmatches = { a = "1" }\n', "no time of the day"),
        ('[[maintenance]]\nname = "n"\nfrom = "04:00"\nto = "04:00"\nmatches = { a = "1" }\n', "ends when it begins"),
        ('[[maintenance]]\nname = "n"\ndays = ["noon"]\n', "'noon' is no day"),
    ],
)
def test_what_is_wrong_with_the_rest_of_a_file_is_said(text: str, problem: str) -> None:
    assert problem in read_rulebook(text, "rules.toml").problems[0].problem


def test_the_second_of_two_with_one_name_is_not_used() -> None:
    book = read_rulebook('[[rule]]\nname = "a"\nkind = "log"\n' * 2, "rules.toml")

    assert len(book.rules) == 1
    assert "two entries named 'a'" in book.problems[0].problem


def test_a_file_that_is_not_there_has_nothing_and_one_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert load_rulebook(tmp_path / "none.toml").problems == ()
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    assert "is not UTF-8" in load_rulebook(tmp_path / "latin.toml").problems[0].problem
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    assert "no rules file" in load_rulebook(tmp_path / "large.toml").problems[0].problem
    assert "cannot be read" in load_rulebook(tmp_path).problems[0].problem


def test_the_built_in_rules_can_be_used() -> None:
    book = default_rules()

    assert book.problems == ()
    assert {rule.kind for rule in book.rules} == {"burn_rate", "no_data", "disk", "log", "leak", "cardinality"}
    assert {rule.source for rule in book.rules} == {"default"}
    assert all(rule.kind in KINDS for rule in book.rules)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_can_be_written_with_what_it_needs_and_all_that_it_takes(kind: object) -> None:
    needed = {"metric": "p95", "finding": "health", "heartbeat": "*"}
    table = {"name": "x", "kind": kind.name} | {key: needed[key] for key in kind.needs}  # type: ignore[attr-defined]
    table |= {"above": 1} if kind.either else {}  # type: ignore[attr-defined]

    assert parse_rule(table, "test").kind == kind.name  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "value"),
    [("500ms", 0.5), ("5 %", 0.05), ("100MB", 1e8), ("2h", 7200), ("1.5", 1.5), (3, 3.0), ("-2s", -2.0), ("7µs", 7e-6)],
)
def test_a_figure_may_have_a_unit(written: object, value: float) -> None:
    assert amount("above", written) == pytest.approx(value)


@pytest.mark.parametrize(("written", "value"), [("5m", 300), (45, 45), ("0s", 0), ("0", 0)])
def test_a_length_is_text_or_seconds(written: object, value: int) -> None:
    assert length_s("for", written) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        "[[rule]]\nname='a'\n[[rule]]\nname='b'",
        "[group]\nwait='1s'",
        "rule = 3",
        "no toml",
        "rule = []",
        "#" * 20_001,
    ],
)
def test_an_editor_gets_one_entry_or_an_error(text: str) -> None:
    with pytest.raises(SettingError):
        single(text)


def test_an_entry_may_leave_out_its_heading() -> None:
    assert single('name = "a"\nkind = "log"')[0] == "rule"
    assert single('name = "a"\nkind = "availability"\ntarget = 0.9')[0] == "slo"
    assert single('[[probe]]\nname = "a"')[0] == "probe"


texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(texts, values, max_size=5))
def test_what_is_written_as_toml_is_read_as_it_was(table: dict[str, object]) -> None:
    assert tomllib.loads(table_text("rule", table)) == {"rule": [table]}
