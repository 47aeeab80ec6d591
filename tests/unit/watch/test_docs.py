"""docs/alerts.md names every kind, key, metric and built-in rule there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pitstop.watch.conditions import KINDS
from pitstop.watch.groups import Grouping
from pitstop.watch.rulebook import default_rules, read_rulebook
from pitstop.watch.rules import _EVERY_RULE

PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_there_with_its_keys_and_metrics(kind: object) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{kind.name}` |"))  # type: ignore[attr-defined]
    filters = {"series", "service", "routes", "tenant", "outcome", "by"}
    shared = filters if "the filters" in row else set()
    for key in kind.keys - shared:  # type: ignore[attr-defined]
        assert f"`{key}`" in row, key
    for metric in () if "as above" in row else kind.metrics:  # type: ignore[attr-defined]
        assert metric in row, metric


def test_every_key_of_every_rule_is_there() -> None:
    for key in _EVERY_RULE:
        assert f"| `{key}` |" in PAGE


def test_the_built_in_rules_are_there() -> None:
    for rule in default_rules().rules:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {rule.name} |"))
        assert f"`{rule.kind}`" in row
        assert f"| {rule.severity}" in row


def test_the_examples_can_be_used_and_what_they_call_defaults_are() -> None:
    examples = [read_rulebook(text, "docs") for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]

    assert [book.problems for book in examples] == [()] * 3
    assert examples[1].grouping == Grouping()
    assert len(examples[0].rules) == len(examples[2].inhibits) == len(examples[2].maintenances) == 1
