"""Which of two indexes may go, and which are unused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.database.advice.answer import size_text
from pitstop.tune.database.advice.health import superfluous, unused
from pitstop.tune.database.advice.shape import Catalog, Column, Existing, ForeignKey, Index, Key, Table

if TYPE_CHECKING:
    from collections.abc import Sequence


class Planner:
    """What health asks of one."""

    def __init__(self, *indexes: Existing, foreign: Sequence[ForeignKey] = ()) -> None:
        table = Table("t", 50_000, 10**6, {name: Column(name, "int") for name in "abc"}, sql="t", scans=5000)
        self.catalog = Catalog({"t": table}, list(indexes), list(foreign))

    def drop_sql(self, name: str, table: str) -> str:
        return f"DROP INDEX {name} -- {table}"


def existing(name: str, keys: str, **more: Any) -> Existing:
    where, include = more.pop("where", ""), more.pop("include", ())
    parsed = tuple(Key(*(key.split()[0],) * 2, " ".join(key.split()[1:])) for key in keys.split(","))
    given = {"unique": False, "bound": False, "nbytes": 10**6, "scans": 0, "definition": f"CREATE INDEX {name}"} | more
    return Existing(name, Index("t", parsed, include, where), **given)


def dropped(*indexes: Existing) -> list[str]:
    return [each.name for each in superfluous(Planner(*indexes))]  # type: ignore[arg-type]  # what it needs of one


@pytest.mark.parametrize(
    ("first", "second", "gone"),
    [
        (existing("x", "a"), existing("y", "a"), ["y"]),
        (existing("x", "a"), existing("y", "a", scans=9), ["x"]),
        (existing("x", "a"), existing("y", "a", unique=True), ["x"]),
        (existing("x", "a", bound=True, unique=True), existing("y", "a", unique=True, scans=99), ["y"]),
        (existing("x", "a", bound=True), existing("y", "a", bound=True), []),
        (existing("x", "a"), existing("y", "a,b"), ["x"]),
        (existing("x", "a DESC"), existing("y", "a,b"), ["x"]),
        (existing("x", "a,b DESC"), existing("y", "a,b,c"), []),
        (existing("x", "a", unique=True), existing("y", "a,b"), []),
        (existing("x", "a"), existing("y", "a,b", nbytes=10**8), []),
        (existing("x", "a"), existing("y", "b,a"), []),
        (existing("x", "a"), existing("y", "a", where="b > 5"), []),
        (existing("x", "a text_pattern_ops"), existing("y", "a"), []),
        (existing("x", "a", method="hash"), existing("y", "a"), []),
        (existing("x", "a"), existing("y", "a", valid=False), []),
        (existing("x", 'a COLLATE "C"'), existing("y", "a"), []),
        (existing("x", 'a COLLATE "C"'), existing("y", "a,b"), []),
        (existing("x", "a", unique=True), existing("y", "a", unique=True, nulls_once=True), []),
        (existing("x", "a"), existing("y", "a", unique=True, nulls_once=True), ["x"]),
        (existing("x", "a", include=("c",)), existing("y", "a,b"), []),
        (existing("x", "a", include=("c",)), existing("y", "a,c"), ["x"]),
    ],
)
def test_an_index_goes_only_where_another_does_all_its_work(first: Existing, second: Existing, gone: list[str]) -> None:
    assert dropped(first, second) == gone
    assert dropped(second, first) == gone


def test_of_three_equal_ones_one_stays() -> None:
    assert len(dropped(*(existing(name, "a") for name in "xyz"))) == 2


WEEK_S = 7 * 86_400.0


def unread(planner: Planner, counted_s: float = 2 * WEEK_S, used: Sequence[str] = ()) -> list[str]:
    return [each.name for each in unused(planner, used, counted_s, WEEK_S)]  # type: ignore[arg-type]  # what it needs


def test_an_index_that_nobody_reads_goes_after_a_week() -> None:
    assert unread(Planner(existing("x", "a"))) == ["x"]
    assert unread(Planner(existing("x", "a")), counted_s=WEEK_S / 2) == []


@pytest.mark.parametrize(
    "index",
    [
        existing("x", "a", scans=1),
        existing("x", "a", unique=True),
        existing("x", "a", bound=True),
        existing("x", "a", nbytes=8192),
    ],
)
def test_an_index_stays_that_is_read_needed_or_small(index: Existing) -> None:
    assert unread(Planner(index)) == []


def test_an_index_stays_that_a_plan_or_a_foreign_key_uses() -> None:
    assert unread(Planner(existing("x", "a")), used=["x"]) == []
    assert unread(Planner(existing("x", "a,b"), foreign=[ForeignKey("f", "t", ("a",), "p")])) == []


def test_nothing_is_called_unused_in_a_table_that_nobody_reads() -> None:
    planner = Planner(existing("x", "a"))
    planner.catalog.tables["t"].scans = 3
    assert unread(planner) == []


def test_sizes_are_written_as_a_person_reads_them() -> None:
    assert [size_text(10), size_text(12_345), size_text(3_400_000)] == ["1 kB", "12 kB", "3.4 MB"]
