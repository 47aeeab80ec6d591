"""What statements ask of their tables."""

from __future__ import annotations

import sys

import pytest

from pitstop.model.errors import SettingError
from pitstop.tune.database.advice import reading as kinds
from pitstop.tune.database.advice.reading import Reading, read
from pitstop.tune.database.advice.shape import Catalog, Column, Table
from pitstop.tune.database.advice.template import POSTGRESQL, SQLITE


def table(name: str, *columns: str) -> Table:
    return Table(name, 5000, 8192, {each: Column(each, "text", sql=each) for each in columns}, sql=name)


CATALOG = Catalog(
    {
        "users": table("users", "id", "email", "name", "active", "deleted_at", "body"),
        "orders": table("orders", "id", "user_id", "status", "created_at", "total"),
    }
)


def reading(text: str, dialect: object = POSTGRESQL) -> Reading:
    return read(text, dialect, CATALOG)  # type: ignore[arg-type]  # one of two


def seen(text: str) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in reading(text).conditions]


@pytest.mark.parametrize(
    ("where", "conditions"),
    [
        ("email = ?", [(kinds.EQUAL, "email")]),
        ("? = email", [(kinds.EQUAL, "email")]),
        ("email IN (?)", [(kinds.EQUAL, "email")]),
        ("email = ANY(?)", [(kinds.EQUAL, "email")]),
        ("lower(email) = lower(?)", [(kinds.EQUAL, "lower(email)")]),
        ("body ->> 'a' = ?", [(kinds.EQUAL, "(body ->> 'a')")]),
        ("body ->> ? = ?", []),
        ("email > ? AND name <= ?", [(kinds.RANGE, "email"), (kinds.RANGE, "name")]),
        ("email BETWEEN ? AND ?", [(kinds.RANGE, "email")]),
        ("email LIKE 'abc%'", [(kinds.PREFIX, "email")]),
        ("email LIKE '%abc'", []),
        ("email LIKE ?", []),
        ("deleted_at IS NULL", [(kinds.NULL, "deleted_at")]),
        ("deleted_at IS NOT NULL", [(kinds.NOT_NULL, "deleted_at")]),
        ("active", [(kinds.FLAG, "active")]),
        ("NOT active AND active IS TRUE", [(kinds.FLAG, "active"), (kinds.FLAG, "active")]),
        ("body @> ?", [(kinds.INVERTED, "body")]),
        ("email <> ? AND name NOT IN (?)", []),
        ("email = name", []),
        ("nothing = ?", []),
        ("email IN (SELECT name FROM users)", [(kinds.EQUAL, "email")]),
    ],
)
def test_conditions_are_seen_by_what_an_index_could_do_for_them(where: str, conditions: list[tuple[str, str]]) -> None:
    assert seen(f"SELECT * FROM users WHERE {where}") == conditions


def test_a_condition_without_parameters_may_choose_an_indexs_rows_and_others_not() -> None:
    found = reading("SELECT 1 FROM users u WHERE u.deleted_at IS NULL AND u.active = true AND u.name = ?").conditions
    assert [each.sql for each in found] == ["deleted_at IS NULL", "active = TRUE", ""]


def test_arms_of_an_or_are_told_apart() -> None:
    found = reading("SELECT 1 FROM users WHERE (email = ? OR name = ? AND active) AND id > 5").conditions
    assert [(each.text, each.group, each.arm) for each in found] == [
        ("email", 1, 1), ("name", 1, 2), ("active", 1, 2), ("id", 0, 0),
    ]  # fmt: skip


def test_joined_columns_count_for_both_tables() -> None:
    found = reading("SELECT o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.email = ?")
    assert [(each.alias, each.text, each.joined) for each in found.conditions] == [
        ("u", "email", False), ("o", "user_id", True), ("u", "id", True),
    ]  # fmt: skip
    assert found.uses == {"u": {"id", "email"}, "o": {"user_id", "total"}}


def test_using_is_a_join_too() -> None:
    found = reading("SELECT 1 FROM users JOIN orders USING (id)")
    assert {(each.alias, each.text) for each in found.conditions} == {("users", "id"), ("orders", "id")}


def test_a_table_twice_is_two_sources() -> None:
    found = reading("SELECT 1 FROM users WHERE id IN (SELECT id FROM users WHERE email = ?)")
    assert sorted(found.sources.values()) == ["users", "users"]


def test_what_is_named_in_with_is_no_table() -> None:
    found = reading("WITH users AS (SELECT * FROM orders WHERE status = ?) SELECT * FROM users WHERE email = ?")
    assert found.sources == {"orders": "orders"}
    assert [each.text for each in found.conditions] == ["status"]


def test_order_and_limit() -> None:
    found = reading("SELECT id FROM orders WHERE user_id = ? ORDER BY created_at DESC, id LIMIT ? OFFSET ?")
    assert [(each.text, each.descending) for each in found.orders] == [("created_at", True), ("id", False)]
    assert (found.limits, found.offsets, found.limited) == ((2,), (3,), True)
    assert reading("SELECT id FROM orders ORDER BY total LIMIT 10").limit_rows == 10


def test_an_order_without_limit_is_none_but_the_highest_value_is() -> None:
    assert not reading("SELECT id FROM orders ORDER BY created_at").orders
    assert [each.text for each in reading("SELECT max(total) FROM orders WHERE user_id = ?").orders] == ["total"]


@pytest.mark.parametrize(
    ("text", "kind", "sets", "rows"),
    [
        ("INSERT INTO orders (id) VALUES (?), (?)", kinds.INSERT, frozenset(), 2),
        (
            "UPDATE orders SET status = ?, total = total + 1 WHERE id = ?",
            kinds.UPDATE,
            frozenset({"status", "total"}),
            1,
        ),
        ("DELETE FROM orders WHERE created_at < ?", kinds.DELETE, frozenset(), 1),
    ],
)
def test_writes_are_known_with_what_they_change(text: str, kind: str, sets: frozenset[str], rows: int) -> None:
    for dialect in (POSTGRESQL, SQLITE):
        found = reading(text, dialect)
        assert (found.kind, found.writes, found.sets, found.rows_written) == (kind, "orders", sets, rows)


@pytest.mark.parametrize("text", ["CREATE TABLE users (a int)", "COMMIT", "DROP TABLE users", "", "VACUUM users"])
def test_what_neither_reads_nor_writes_rows_asks_for_nothing(text: str) -> None:
    assert (reading(text).kind, reading(text).tables()) == (kinds.OTHER, set())


@pytest.mark.parametrize("text", ["SELECT FROM WHERE", "SELECT 1; SELECT 2", "SELECT ((("])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        reading(text)


def test_where_sqlglot_is_not_installed_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(SettingError, match="pip install sqlglot"):
        reading("SELECT 1 FROM users")
